"""A small server for tests: `python -m tests.service.served PORT` serves the pid of its worker."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from statera.cli.context import ServerSettings
from statera.cli.mount import Application, Mounts
from statera.cli.serve import serve


def _answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    said = {
        "worker": os.getpid(),
        "main": os.getppid(),
        "prefix": environ["SCRIPT_NAME"],
        "path": environ["PATH_INFO"],
    }
    body = json.dumps(said).encode()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def _build() -> Application:
    return Mounts({"": _answer, "/identity": _answer})


if __name__ == "__main__":
    settings = ServerSettings(bind_port=int(sys.argv[1]), threads=4, takeover_seconds=0.3)
    sys.exit(serve(_build, settings))
