"""What `statera run` can be: the processes that the supervisor keeps, each wired in its module."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable

from statera.cli.console import Stop
from statera.cli.context import Context
from statera.service import logs

_MODULES = {
    "api": "statera.cli.process_api",
    "controller": "statera.cli.process_controller",
    "gateway": "statera.cli.process_gateway",
    "agent": "statera.cli.process_agent",
    "prepare": "statera.cli.process_prepare",
}


def run(name: str, context: Context) -> int:
    """Run a process until it ends; raise `console.Stop` if there is none of that name."""
    if name == "supervisor":
        from statera.cli.up import supervise  # noqa: PLC0415

        return supervise(context, to_files=True)
    if name not in _MODULES:
        raise Stop(f"there is no process {name!r}; there are {', '.join(sorted(_MODULES))}")
    if name == "agent":  # it shares files with the engines, which run as another user
        os.umask(0o022)
    logs.setup(context.get(logs.LogSettings), name)
    main: Callable[[Context], int] = importlib.import_module(_MODULES[name]).main
    return main(context)
