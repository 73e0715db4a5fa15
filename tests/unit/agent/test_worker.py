"""Blocking work: a thread that outlives its attempt never works beside the next one."""

from __future__ import annotations

import asyncio
import threading

import pytest

from statera.agent.worker import Worker


def test_the_next_piece_waits_for_one_that_was_given_up() -> None:
    """What is begun last ends last, also when the attempt before it ran out of time."""
    done: list[str] = []
    overtaken = threading.Event()

    def slow() -> None:
        overtaken.wait(0.3)
        done.append("old")

    def quick() -> None:
        done.append("new")
        overtaken.set()

    async def attempts() -> None:
        worker = Worker()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await worker.run(slow)
        await worker.run(quick)
        await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(attempts())
    assert done == ["old", "new"]


def test_an_error_belongs_to_its_own_piece() -> None:
    """It comes out where it was asked for, and the next piece is done."""

    async def attempts() -> list[str]:
        worker = Worker()
        with pytest.raises(ZeroDivisionError):
            await worker.run(divmod, 1, 0)
        return await worker.run(sorted, ["b", "a"])

    assert asyncio.run(attempts()) == ["a", "b"]
