"""Finds and ends processes by where they live: the machine's own namespace is never touched."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from statera.agent.names import Names
from statera.agent.namespace import Namespace, named
from statera.lb.errors import Retryable

_TERM_PATIENCE = 2.0
_KILL_PATIENCE = 10.0
_LOOK_AGAIN = 0.01


def end_inside(inodes: set[int], engines: Path) -> None:
    """End what runs in these namespaces, and engines in namespaces that have no name any more.

    Asks first, then insists, and waits until all are gone; raises `Retryable` if they do not go.
    """

    def left() -> list[int]:
        return _engines_and(inodes, engines)

    found = left()
    _signal(found, signal.SIGTERM)
    with contextlib.suppress(Retryable):
        if found:
            wait_until_gone("processes", left, _TERM_PATIENCE)
        return
    _signal(left(), signal.SIGKILL)
    wait_until_gone("processes", left, _KILL_PATIENCE)


def end_strays(names: Names, engines: Path) -> int:
    """End engines whose namespace lost its name: they serve nobody, and hold their files.

    Returns how many there were; raises `Retryable` if they do not go.
    """
    spaces = [Namespace(name) for name in named() if names.is_namespace(name)]
    known = {inode for space in spaces if (inode := space.inode()) is not None}

    def left() -> list[int]:
        return [pid for pid in _engines_and(set(), engines) if _namespace(pid) not in known]

    strays = left()
    _signal(strays, signal.SIGKILL)
    wait_until_gone("processes", left, _KILL_PATIENCE)
    return len(strays)


def wait_until_gone(what: str, left: Callable[[], list[int]], patience: float) -> None:
    """Return when nothing is left; raise `Retryable` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while rest := left():
        if time.monotonic() > deadline:
            raise Retryable(f"Some {what} of the installation do not go away: {rest}.")
        time.sleep(_LOOK_AGAIN)


def _engines_and(inodes: set[int], engines: Path) -> list[int]:
    """Return the processes in these namespaces, and those started with a file below `engines`.

    Never one in the machine's own namespace, whatever goes by a name of ours or looks at a file.
    """
    home = os.stat("/proc/self/ns/net").st_ino
    prefix = os.fsencode(engines) + b"/"
    return [
        pid
        for pid, inode in _everything()
        if inode != home and (inode in inodes or _was_given(pid, prefix))
    ]


def _everything() -> Iterator[tuple[int, int]]:
    """Yield each process with the number of its network namespace."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (inode := _namespace(int(entry))) is not None:
            yield int(entry), inode


def _namespace(pid: int) -> int | None:
    """Return the number of a process's network namespace, None if it has ended."""
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def _was_given(pid: int, prefix: bytes) -> bool:
    with contextlib.suppress(OSError):
        arguments = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
        return any(argument.startswith(prefix) for argument in arguments)
    return False


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
