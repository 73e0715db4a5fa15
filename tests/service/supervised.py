"""A supervisor in a process of its own, with children that are told what to do by files.

`python -m tests.service.supervised RUN CHILD...`: each CHILD is a name; the child writes its pid to
`RUN/<name>.pid` and says that it is ready, unless `RUN/<name>.mute` exists; it fails at once if
`RUN/<name>.broken` exists, and ignores SIGTERM if `RUN/<name>.deaf` exists.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from statera.service.supervisor import Child, Supervisor, SupervisorSettings

CHILD = """
import os, pathlib, signal, sys
from statera.service.readiness import notify_ready
run, name = pathlib.Path(sys.argv[1]), sys.argv[2]
if (run / f"{name}.broken").exists():
    sys.exit("broken as told")
if (run / f"{name}.deaf").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
mute = (run / f"{name}.mute").exists()
(run / f"{name}.draft").write_text(str(os.getpid()))
(run / f"{name}.draft").rename(run / f"{name}.pid")
if not mute:
    notify_ready()
signal.pause()
signal.pause()
"""


def main(run: Path, names: list[str]) -> int:
    """Supervise children of these names; the log goes to standard error."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = SupervisorSettings(
        backoff_first=0.05, backoff_max=0.4, stable_seconds=30, stop_seconds=0.5
    )
    children = [
        Child(name, (sys.executable, "-c", CHILD, str(run), name), log=run / f"{name}.log")
        for name in names
    ]
    return asyncio.run(Supervisor(children, run, settings, {"about": "test"}).run())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
