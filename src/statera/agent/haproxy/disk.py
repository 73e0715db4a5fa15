"""What the engine keeps on disk, so that another agent process can go on.

haproxy.cfg       configuration in force (0600: it holds the cookie key)
haproxy.cfg.new   the one being tried
ledger.json       processes, counters, and the document in force, as HAProxy accepted it
servers           member states for the next start
chroot/           empty; root directory of HAProxy
<n>.sock, <n>.err stats socket and messages of process n
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from statera.agent.haproxy.ledger import Page
from statera.agent.haproxy.process import fifo_path, socket_path
from statera.lb.errors import Final

_LONGEST = 107 - len("/0123456789.sock")
"""Bytes of a directory in which a unix socket can still be made."""


class Disk:
    """The directory of one amphora's engine.  Every method blocks: call it off the event loop."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.chroot = directory / "chroot"
        self.states = directory / "servers"
        self.config = directory / "haproxy.cfg"
        self.trial = directory / "haproxy.cfg.new"
        self._ledger = directory / "ledger.json"

    def prepare(self) -> None:
        """Make the directory, for root alone; raise `Final` if its path is too long for sockets."""
        if len(os.fsencode(self.directory)) > _LONGEST:
            raise Final(f"the path {self.directory} is longer than {_LONGEST} bytes")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.chroot.mkdir(mode=0o555, exist_ok=True)

    def page(self) -> Page | None:
        """Return the ledger, or None."""
        try:
            return msgspec.json.decode(self._ledger.read_bytes(), type=Page)
        except (OSError, msgspec.DecodeError):
            return None

    def keep(self, page: Page, text: str | None) -> None:
        """Keep what is in force now; None: the configuration did not change."""
        if text is not None:
            _write(self.config, text.encode())
        _write(self._ledger, msgspec.json.encode(page))
        _settle(self.directory)

    def attempt(self, text: str, states: str) -> None:
        """Lay out a start: the configuration to try, and the member states it begins with."""
        _put(self.trial, text.encode())
        _put(self.states, states.encode())

    def forget(self, serial: int) -> None:
        """Remove the files of a process that has ended."""
        for path in (socket_path(self.directory, serial), fifo_path(self.directory, serial)):
            path.unlink(missing_ok=True)

    def serials(self) -> set[int]:
        """Return the numbers of the processes of which files lie here."""
        return {
            int(path.stem)
            for path in self.directory.iterdir()
            if path.stem.isdecimal() and path.suffix in (".sock", ".err")
        }


def _put(path: Path, data: bytes) -> None:
    """Write a file that a crash may lose."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)


def _write(path: Path, data: bytes) -> None:
    """Replace a file: after a crash either the old or the new one is there, whole."""
    new = path.with_name(path.name + ".tmp")
    _put(new, data)
    with open(new, "rb") as file:
        os.fsync(file.fileno())
    new.replace(path)


def _settle(directory: Path) -> None:
    """Make renames in `directory` last."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
