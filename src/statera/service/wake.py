"""Wake-ups between the processes of one machine: a datagram that says "look now".

They only make things fast.  What is to be done stands in the database, and every listener also
looks by itself now and then, so a lost datagram costs a moment and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

WORK = "work"
"""Some load balancer has work due."""
DOCUMENTS = "documents"
"""Some document was published."""


class Wakes:
    """Senders and listeners below one directory: one socket file per (topic, process)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def send(self, topic: str) -> None:
        """Wake every listener of `topic`; never blocks, never fails."""
        with contextlib.suppress(OSError):
            for path in (self._directory / topic).iterdir():
                self._send_to(path)

    def _send_to(self, path: Path) -> None:
        try:
            self._socket.sendto(b"1", str(path))
        except ConnectionRefusedError:  # its process is dead
            with contextlib.suppress(OSError):
                path.unlink()
        except OSError:
            pass  # its buffer is full: it is awake already

    def listen(self, topic: str) -> socket.socket:
        """Return a non-blocking datagram socket that becomes readable when `topic` is woken.

        The caller drains it and closes it.
        """
        folder = self._directory / topic
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{os.getpid()}.sock"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listener.bind(str(path))
        return listener
