"""Saying "I am ready" and hearing it: datagrams in the form of systemd's notify protocol.

A process says it to whoever started it (our supervisor, `statera up --detach`, systemd) through the
socket named in `NOTIFY_SOCKET`; without one nobody asked and nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

VARIABLE = "NOTIFY_SOCKET"


def notify(**fields: str) -> None:
    """Send `fields` (`READY="1"`, `STATUS="…"`) to who started this process; never fails."""
    address = os.environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    lines = "\n".join(f"{name}={value}" for name, value in fields.items())
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(lines.encode(), address)


def notify_ready() -> None:
    """Say that this process serves."""
    notify(READY="1")


class Inbox:
    """Receives notifications at a path; `fileno` becomes readable when there are some."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def read(self) -> list[dict[str, str]]:
        """Return the notifications that wait, oldest first."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(65536).decode(errors="replace").splitlines()
                found.append(dict(line.partition("=")[::2] for line in lines))
        return found

    def close(self) -> None:
        """Stop receiving and remove the path."""
        self._socket.close()
        self.path.unlink(missing_ok=True)
