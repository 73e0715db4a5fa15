"""A HAProxy that lives but does nothing is replaced, and nobody waits long for it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from statera.spec.document import AmphoraSpec, Monitor

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

Until = Callable[..., Awaitable[None]]
replace = msgspec.structs.replace


def _changed(spec: AmphoraSpec) -> AmphoraSpec:
    """Return `spec` with a change that takes a reload."""
    return replace(spec, listeners=(replace(spec.listeners[0], timeout_client_data=40_000),))


async def _serves(bench: Bench) -> bool:
    try:
        return (await bench.get()).status == 200
    except OSError:
        return False


def test_hung_process_is_replaced(bench: Bench, until: Until) -> None:
    """A stopped process is ended and started again by itself; a look at it returns soon."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine(hang_patience=1)
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        (pid,) = bench.pids()
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(8):
            await engine.observe()

        async def replaced() -> bool:
            return pid not in bench.pids() and await _serves(bench)

        await until(replaced)
        assert {(await bench.get()).body for _ in range(8)} == {"m1"}
        await engine.stop()
        assert bench.pids() == []

    asyncio.run(scenario())


def test_reload_beside_a_hung_process(bench: Bench) -> None:
    """A reload ends a process that hangs: else that would keep half of all connections."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine(hang_patience=2)
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        (pid,) = bench.pids()
        os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(30):
            assert await engine.apply(_changed(spec)) == ()
        assert pid not in bench.pids()
        assert {(await bench.get()).body for _ in range(16)} == {"m1"}
        await engine.stop()

    asyncio.run(scenario())


def test_hung_process_is_not_adopted(bench: Bench) -> None:
    """An agent that finds its process hanging starts another one, in a higher epoch."""

    async def scenario() -> None:
        bench.backends(1)
        first = bench.engine()
        await first.apply(bench.spec(bench.pool(bench.member(1))))
        epoch = (await first.observe()).listeners[0].counters.epoch
        (pid,) = bench.pids()
        await first.detach()
        os.kill(pid, signal.SIGSTOP)
        second = bench.engine(hang_patience=1)
        await second.adopt()
        assert pid not in bench.pids()
        assert await bench.bodies(8) == {"m1"}
        assert (await second.observe()).listeners[0].counters.epoch > epoch
        await second.stop()

    asyncio.run(scenario())


def test_pause_of_the_agent_harms_nobody(bench: Bench, until: Until) -> None:
    """An agent that was paused does not take its process for a hung one."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine(hang_patience=1)
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        pids = bench.pids()
        looked = 0

        async def ten_looks() -> bool:
            nonlocal looked
            # Blocks the event loop on purpose, as if the agent had been stopped.
            time.sleep(0.7)
            looked += 1
            return looked == 10

        await until(ten_looks)
        assert bench.pids() == pids
        await engine.stop()

    asyncio.run(scenario())


def test_verdict_reaches_a_process_that_paused(bench: Bench, until: Until) -> None:
    """A verdict that HAProxy could not take at once is told again."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine(hang_patience=20)
        monitor = Monitor(id="hm", type="PING", delay=1, timeout=1, rise=1, fall=1)
        members = (bench.member(1), bench.member(2, monitor_address="10.2.0.1"))
        bench.space.address("10.2.0.1/32")
        await engine.apply(bench.spec(bench.pool(*members, monitor=monitor)))
        assert await bench.bodies(4) == {"m1", "m2"}
        (pid,) = bench.pids()
        told = asyncio.Event()
        engine.on_change = told.set
        os.kill(pid, signal.SIGSTOP)
        bench.space.ip("address", "del", "10.2.0.1/32", "dev", "lo")
        bench.space.ip("route", "add", "blackhole", "10.2.0.1")
        async with asyncio.timeout(15):
            await told.wait()
            await engine.observe()
        os.kill(pid, signal.SIGCONT)

        async def left() -> bool:
            return await bench.bodies(4) == {"m1"}

        await until(left)
        assert bench.pids() == [pid]
        await engine.stop()

    asyncio.run(scenario())
