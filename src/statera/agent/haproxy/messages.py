"""What a HAProxy process says.

It goes to a FIFO that the agent reads.  The writing end never blocks and is bounded by the kernel,
it survives the agent, and a new agent opens it again: changes of member status show there at once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

_KEEP = 1 << 18


class Messages:
    """Reads the FIFO of one process."""

    def __init__(self, path: Path) -> None:
        self._text = ""
        self._heard: Callable[[str], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> bool:
        """Read once; say whether there may be more."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            # Nothing there, but somebody still holds the writing end.
            return False
        if not data:
            self.close()
            return False
        text = data.decode(errors="replace")
        if self._heard is None:
            self._text = (self._text + text)[-_KEEP:]
        else:
            self._heard(text)
        return True

    def listen(self, heard: Callable[[str], None]) -> None:
        """Hand everything that is said from now on to `heard`."""
        self._text = ""
        self._heard = heard

    def drain(self) -> str:
        """Return everything that an ended process said."""
        while self._fd >= 0 and self._read():
            pass
        return self._text

    def close(self) -> None:
        """Stop to listen."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
