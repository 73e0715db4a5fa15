"""HAProxy dies, the agent dies: what runs goes on, what is gone comes back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from statera.spec.document import Listener

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

Until = Callable[..., Awaitable[None]]


def test_killed_process_comes_back(bench: Bench, until: Until) -> None:
    """After `kill -9` HAProxy serves again, with members added at run time, and says so."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        heard: list[bool] = []
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        await engine.apply(bench.spec(bench.pool(bench.member(1), bench.member(2))))
        engine.on_change = lambda: heard.append(True)
        for _ in range(3):
            (pid,) = bench.pids()
            os.kill(pid, signal.SIGKILL)

            async def serves(old: int = pid) -> bool:
                if old in bench.pids() or not (await engine.observe()).serving:
                    return False
                return await _serves(bench)

            await until(serves)
            assert await bench.bodies(4) == {"m1", "m2"}
        assert heard
        await engine.stop()
        assert bench.pids() == []

    asyncio.run(scenario())


def test_restarted_agent_adopts(bench: Bench) -> None:
    """A new engine keeps the process, its document and its counters, and changes nothing."""

    async def scenario() -> None:
        bench.backends(1, 2)
        spec = bench.spec(bench.pool(bench.member(1)))
        first = bench.engine()
        await first.apply(spec)
        both = bench.spec(bench.pool(bench.member(1), bench.member(2)))
        await first.apply(both)
        await bench.get()
        counted = (await first.observe()).listeners[0].counters
        pids = bench.pids()
        await first.detach()
        assert await bench.bodies(4) == {"m1", "m2"}
        second = bench.engine()
        await second.adopt()
        assert await second.apply(both) == ()
        assert bench.pids() == pids
        after = (await second.observe()).listeners[0].counters
        assert after.epoch == counted.epoch
        assert after.total_connections == counted.total_connections + 4
        os.kill(pids[0], signal.SIGKILL)
        await second.detach()

    asyncio.run(scenario())


def test_dead_process_is_started_at_adoption(bench: Bench, until: Until) -> None:
    """Nothing runs after a reboot: the last document serves again, in a higher epoch."""

    async def scenario() -> None:
        bench.backends(1)
        first = bench.engine()
        await first.apply(bench.spec(bench.pool(bench.member(1))))
        epoch = (await first.observe()).listeners[0].counters.epoch
        await first.detach()
        os.kill(bench.pids()[0], signal.SIGKILL)

        async def gone() -> bool:
            return bench.pids() == []

        await until(gone)
        second = bench.engine()
        await second.adopt()
        assert await bench.bodies(2) == {"m1"}
        assert (await second.observe()).listeners[0].counters.epoch > epoch
        await second.stop()

    asyncio.run(scenario())


def test_process_nobody_noted_is_dismissed(bench: Bench, until: Until) -> None:
    """An agent that died in the middle of a reload leaves two processes; one remains."""

    async def scenario() -> None:
        bench.backends(1)
        spec = bench.spec(bench.pool(bench.member(1)))
        first = bench.engine()
        await first.apply(spec)
        noted = (bench.directory / "ledger.json").read_bytes()
        held = await bench.connect()
        await held.ask()
        other = Listener(id="other", protocol="TCP", port=81)
        await first.apply(msgspec.structs.replace(spec, listeners=(*spec.listeners, other)))
        await first.detach()
        # As if the crash had come before the disk knew the second process.
        (bench.directory / "ledger.json").write_bytes(noted)
        second = bench.engine()
        await second.adopt()
        held.close()

        async def one() -> bool:
            return len(bench.pids()) == 1

        await until(one)
        assert await second.apply(spec) == ()
        await until(lambda: _serves(bench))
        assert len(bench.pids()) == 1
        await second.stop()

    asyncio.run(scenario())


async def _serves(bench: Bench) -> bool:
    try:
        return (await bench.get()).status == 200
    except OSError:
        return False


def test_stop_leaves_nothing(bench: Bench) -> None:
    """After `stop` no process is left, those still draining included."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        held = await bench.connect()
        await held.ask()
        other = Listener(id="other", protocol="TCP", port=81)
        await engine.apply(msgspec.structs.replace(spec, listeners=(*spec.listeners, other)))
        assert len(bench.pids()) == 2
        await engine.stop()
        held.close()
        assert bench.pids() == []
        assert not list(bench.directory.glob("*.sock"))

    asyncio.run(scenario())
