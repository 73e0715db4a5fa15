"""`statera up` with processes that do nothing: `python -m tests.service.upped WHAT ROOT PORT`.

WHAT is `up`, `up-here` (not detached), or what `up` starts: `supervisor`, `prepare`, or a process,
which fails with words if `ROOT/<name>.broken` exists and is never ready if `ROOT/<name>.mute` does.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from statera.cli import up
from statera.cli.console import Stop
from statera.cli.context import Context, ServerSettings
from statera.service.logs import LogSettings
from statera.service.readiness import notify_ready
from statera.service.state import State
from statera.service.supervisor import SupervisorSettings

LOG = logging.getLogger(__name__)


def context(root: Path, port: int) -> Context:
    """Return an installation at `root`."""
    settings = {
        "DEFAULT": LogSettings(),
        "supervisor": SupervisorSettings(backoff_first=0.01, stop_seconds=2),
        "server": ServerSettings(bind_port=port),
    }
    return Context(State(root), settings, {})


def process(name: str, root: Path) -> int:
    """Be one of the processes until SIGTERM."""
    if (root / f"{name}.broken").exists():
        print(f"{name} cannot work as told", file=sys.stderr)
        return 1
    (root / f"{name}.draft").write_text(str(os.getpid()))
    (root / f"{name}.draft").rename(root / f"{name}.pid")
    mute = (root / f"{name}.mute").exists()
    if name != "prepare" and not mute:
        notify_ready()
    if name != "prepare" or mute:
        signal.pause()
    return 0


def main(what: str, root: Path, port: int) -> int:
    """Be what was asked for."""

    def command(context: Context, process: str) -> list[str]:  # noqa: ARG001
        return [sys.executable, "-m", "tests.service.upped", process, str(root), str(port)]

    up.command = command
    if (root / "impatient").exists():
        up._START_SECONDS = 8.0
    try:
        if what in ("up", "up-here"):
            return up.up(context(root, port), detach=what == "up")
        if what == "supervisor":
            return up.supervise(context(root, port), to_files=True)
    except Stop as error:
        print(f"statera: {error}", file=sys.stderr)
        return error.code
    return process(what, root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
