"""Removes everything of one installation from the machine, and nothing else.

It goes by the names in the kernel, not by the agent's disk, so it also cleans up after a disk that
is gone.  The documents stay on disk: they are the user's wish, and the next agent makes them true
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from statera.agent.daemon import AgentSettings, locked
from statera.agent.links import unplug
from statera.agent.names import Names
from statera.agent.namespace import Namespace, named, processes
from statera.lb.errors import Retryable

LOG = logging.getLogger(__name__)

_TERM_PATIENCE = 2.0
_PATIENCE = 10.0
_LOOK_AGAIN = 0.02


async def remove_everything(settings: AgentSettings) -> None:
    """Remove every process, namespace, link and bridge of the installation, and wait until gone.

    Raises `Retryable` while an agent still runs, or if something does not go.
    """
    await asyncio.to_thread(_remove, settings)


def _remove(settings: AgentSettings) -> None:
    names = Names(settings.installation)
    with contextlib.ExitStack() as stack:
        if settings.state_dir.is_dir():
            stack.enter_context(locked(settings.state_dir))
        spaces = [Namespace(name) for name in named() if names.is_namespace(name)]
        _end_processes(spaces, settings.state_dir / "amphorae")
        for space in spaces:
            unplug(space)
            space.remove()
        _remove_links(names)
        _wait("links", _PATIENCE, lambda: _links(names))
    LOG.info("removal.done installation=%s namespaces=%d", settings.installation, len(spaces))


def _end_processes(spaces: list[Namespace], engines: Path) -> None:
    """End what runs in our namespaces, and engines whose namespace somebody removed."""
    inodes = {inode for space in spaces if (inode := space.inode()) is not None}

    def left() -> list[int]:
        return sorted({*processes(inodes), *_working_in(engines)})

    _signal(left(), signal.SIGTERM)
    with contextlib.suppress(Retryable):
        _wait("processes", _TERM_PATIENCE, left)
        return
    _signal(left(), signal.SIGKILL)
    _wait("processes", _PATIENCE, left)


def _working_in(engines: Path) -> list[int]:
    """Return the processes that were started with a file below `engines`."""
    prefix = os.fsencode(engines) + b"/"
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):
                arguments = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
                if any(argument.startswith(prefix) for argument in arguments):
                    found.append(int(entry))
    return found


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _links(names: Names) -> list[int]:
    """Return the indexes of our links: ports first, so that no bridge goes before its ports."""
    with IPRoute() as ip:
        links = [(str(link.get("ifname")), int(link["index"])) for link in ip.get_links()]
    ports = [index for name, index in links if names.is_port(name)]
    return ports + [index for name, index in links if names.is_bridge(name)]


def _remove_links(names: Names) -> None:
    with IPRoute() as ip:
        for index in _links(names):
            with contextlib.suppress(NetlinkError):  # it went with its namespace
                ip.link("del", index=index)


def _wait(what: str, patience: float, left: Callable[[], list[int]]) -> None:
    """Return when nothing is left; raise `Retryable` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while rest := left():
        if time.monotonic() > deadline:
            raise Retryable(f"Some {what} of the installation do not go away: {rest}.")
        time.sleep(_LOOK_AGAIN)
