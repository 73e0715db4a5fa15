"""Blocking work of one object: in threads, and one piece at a time even when nobody waits any more.

A thread cannot be cancelled.  What an attempt that ran out of time left behind works on, and beside
it the next attempt would race it: an older document could be the last one written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs the blocking work of one object, piece after piece; one task asks at a time."""

    def __init__(self) -> None:
        self._last: asyncio.Future[Any] | None = None

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` returns, begun when the piece before it has ended.

        Raises what `work` raises; a caller that is cancelled leaves it running.
        """
        if self._last is not None and not self._last.done():
            await asyncio.wait([self._last])
        running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
        self._last = running
        return await asyncio.shield(running)
