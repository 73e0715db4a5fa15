"""The loop: it tries until it succeeds, and wake-ups coalesce."""

from __future__ import annotations

import asyncio
import contextlib

from statera.agent.convergence import Convergence, Next, Pace


def test_pauses_grow_to_the_longest() -> None:
    """The pause doubles with each failure, varies by at most half, and stops growing."""
    pace = Pace(first=1.0, longest=60.0)
    for failures, full in ((1, 1.0), (2, 2.0), (5, 16.0), (7, 60.0), (10_000, 60.0)):
        for _ in range(50):
            assert full / 2 <= pace.after_failures(failures) <= full


def test_it_tries_until_it_succeeds() -> None:
    """An attempt that fails is made again; after a success it rests."""
    outcomes = [Next.RETRY, Next.RETRY, Next.REST, Next.REST]
    attempts = asyncio.run(_drive(outcomes, wakes=0, enough=3))
    assert attempts == 3


def test_wakes_during_an_attempt_are_one_more() -> None:
    """However often it is woken while it works, one more attempt follows."""
    attempts = asyncio.run(_drive([Next.REST, Next.REST, Next.REST], wakes=100, enough=2))
    assert attempts == 2


async def _drive(outcomes: list[Next], *, wakes: int, enough: int) -> int:
    attempts = 0
    reached = asyncio.Event()

    async def attempt() -> Next:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            for _ in range(wakes):
                loop.wake()
        if attempts >= enough:
            reached.set()
        return outcomes[attempts - 1]

    loop = Convergence(attempt, Pace(first=0.001, longest=0.002, resync=1000.0))
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(5):
        await reached.wait()
    for _ in range(20):  # turns of the event loop: a further attempt would be made in them
        await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return attempts
