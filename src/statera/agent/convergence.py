"""The loop that makes one thing true: told that something may differ, never what happened.

It tries, backs off while it fails, looks again by itself now and then, and starts at once when it
is woken.  Any number of wake-ups while an attempt runs are one more attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How long to wait between attempts, in seconds."""

    first: float = 0.2
    longest: float = 30.0
    resync: float = 300.0
    """Between two looks at something that was right."""

    def after_failures(self, failures: int) -> float:
        """Return the pause after so many failures in a row, with jitter."""
        full = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        return full * random.uniform(0.5, 1.0)  # noqa: S311


class Next(enum.Enum):
    """What an attempt leaves to be done."""

    RETRY = enum.auto()
    """It failed, and another may not."""
    REST = enum.auto()
    """It is true, or final; look again now and then."""
    END = enum.auto()
    """Nothing is left of it."""


class Convergence:
    """Runs `attempt`, which deals with its own errors, until nothing is left to be done."""

    def __init__(self, attempt: Callable[[], Awaitable[Next]], pace: Pace) -> None:
        self._attempt = attempt
        self._pace = pace
        self._woken = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        """Look now; also forgets earlier failures, for something has changed."""
        self._failures = 0
        self._woken.set()

    async def run(self) -> None:
        """Converge until an attempt ends it with nothing new wished meanwhile."""
        while True:
            self._woken.clear()
            outcome = await self._attempt()
            if outcome is Next.END and not self._woken.is_set():
                return
            if outcome is not Next.RETRY:
                self._failures = 0
                pause = self._pace.resync * random.uniform(0.8, 1.2)  # noqa: S311
            else:
                self._failures += 1
                pause = self._pace.after_failures(self._failures)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
