"""What the commands print: progress lines for long work, plain words for failures."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

DONE = 0
FAILED = 1
USAGE = 2
NOT_RUNNING = 3


class Stop(Exception):
    """The command cannot go on; the text says why and what to do, `code` is the exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


class Progress:
    """Lines on standard error, each with the seconds since the command began."""

    def __init__(self, quiet: bool = False) -> None:
        self._began = time.monotonic()
        self._quiet = quiet

    @property
    def seconds(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Print one line."""
        if not self._quiet:
            print(f"[{self.seconds:5.1f} s] {text}", file=sys.stderr, flush=True)


def table(rows: Sequence[tuple[str, ...]], indent: str = "  ") -> str:
    """Return the rows with their columns aligned."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(indent + line for line in lines)
