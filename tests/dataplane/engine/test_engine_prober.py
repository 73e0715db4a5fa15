"""The PING prober by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from statera.agent.prober import Key, Prober, Target
from statera.lb.errors import Retryable

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench, Namespace

T = TypeVar("T")
Until = Callable[..., Awaitable[None]]


def _target(number: int, address: str) -> Target:
    return Target(("p", f"m{number}"), address, delay=1, timeout=1, rise=1, fall=1)


class Late:
    """A namespace that is not there at the first attempts to enter it."""

    def __init__(self, space: Namespace) -> None:
        self.name = space.name
        self._space = space
        self.refusals = 2

    def call(self, work: Callable[[], T]) -> T:
        if self.refusals:
            self.refusals -= 1
            raise Retryable("The network namespace is gone.")
        return self._space.call(work)


def test_many_targets_at_once(bench: Bench, until: Until) -> None:
    """No answer is lost when a thousand members are asked in the same moment."""

    async def scenario() -> None:
        turned: list[tuple[Key, bool]] = []
        prober = Prober(bench.space, lambda key, healthy: turned.append((key, healthy)))
        targets = [_target(n, f"127.1.{n // 200}.{n % 200 + 1}") for n in range(1000)]
        # The last one is dead: its verdict tells that two rounds have been judged.
        bench.space.ip("route", "add", "blackhole", "10.1.0.99")
        dead = Target(("p", "dead"), "10.1.0.99", delay=1, timeout=1, rise=1, fall=1)
        await prober.aim([*targets, dead], {("p", "dead"): True})

        async def judged() -> bool:
            return (("p", "dead"), False) in turned

        await until(judged)
        await prober.aim([*targets, _target(5000, "127.1.9.9")], {("p", "m5000"): False})

        async def again() -> bool:
            return (("p", "m5000"), True) in turned

        await until(again)
        assert turned == [(("p", "dead"), False), (("p", "m5000"), True)]
        await prober.stop()

    asyncio.run(scenario())


def test_namespace_that_is_not_there(bench: Bench, until: Until) -> None:
    """A prober that cannot enter its namespace says dead, and goes on asking."""

    async def scenario() -> None:
        turned: list[bool] = []
        prober = Prober(Late(bench.space), lambda _key, healthy: turned.append(healthy))
        await prober.aim([_target(1, "10.1.0.1")], {})

        async def back() -> bool:
            return turned == [False, True]

        await until(back)
        await prober.stop()

    asyncio.run(scenario())
