"""Traffic goes on while the configuration changes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from statera.spec.document import Listener, Monitor

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

Until = Callable[..., Awaitable[None]]
replace = msgspec.structs.replace


class Load:
    """Keep-alive clients that ask without a pause, and count."""

    def __init__(self, bench: Bench, clients: int, path: str = "/") -> None:
        self._bench = bench
        self._path = path
        self._tasks = [asyncio.create_task(self._client()) for _ in range(clients)]
        self._stop = False
        self.served = 0
        self.failures: list[str] = []

    async def _client(self) -> None:
        while not self._stop:
            connection = await self._bench.connect()
            try:
                while not self._stop:
                    reply = await connection.ask(self._path)
                    if reply.status != 200:
                        self.failures.append(f"status {reply.status}")
                    self.served += 1
                    if reply.headers.get("connection") == "close":
                        break
                    await asyncio.sleep(0.01)
            except (OSError, EOFError) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()

    async def end(self) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)


@pytest.mark.parametrize("protocol", ["HTTP", "TCP"])
def test_changes_under_load_fail_no_request(bench: Bench, until: Until, protocol: str) -> None:
    """Member changes and reloads under 32 keep-alive connections to an HTTP pool: none fails."""

    async def scenario() -> None:
        bench.backends(1, 2, 3)
        engine = bench.engine(hard_stop_after=20)
        monitor = Monitor(id="hm", type="HTTP", delay=1, timeout=1, rise=1, fall=3)
        front = Listener(id="listener", protocol=protocol, port=80, default_pool_id="pool")
        first = bench.spec(bench.pool(bench.member(1), monitor=monitor), listeners=(front,))
        assert await engine.apply(first) == ()
        load = Load(bench, 32)
        for turn in range(int(os.environ.get("STATERA_RELOADS", "30"))):
            extra = bench.member(2 + turn % 2, weight=1 + turn)
            changed = bench.pool(bench.member(1, weight=1 + turn), extra, monitor=monitor)
            assert await engine.apply(replace(first, pools=(changed,))) == ()
            listener = Listener(id="other", protocol="TCP", port=1000 + turn)
            more = replace(first, listeners=(*first.listeners, listener))
            assert await engine.apply(more) == ()

        async def enough() -> bool:
            return load.served > 500

        await until(enough)
        await load.end()
        assert load.failures == []
        await engine.stop()
        assert bench.pids() == []

    asyncio.run(scenario())


def test_member_changes_take_no_new_process(bench: Bench) -> None:
    """Adding, weighing, disabling and removing members keeps the process."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        pids = bench.pids()
        both = bench.pool(bench.member(1), bench.member(2))
        assert await engine.apply(bench.spec(both)) == ()
        assert await bench.bodies(6) == {"m1", "m2"}
        off = bench.pool(bench.member(1, enabled=False), bench.member(2, weight=7))
        await engine.apply(bench.spec(off))
        assert await bench.bodies(6) == {"m2"}
        assert await bench.status(engine) == {"m1": "MAINT", "m2": "NO_CHECK"}
        await engine.apply(bench.spec(bench.pool(bench.member(1), bench.member(2, weight=0))))
        assert await bench.bodies(6) == {"m1"}
        assert await bench.status(engine) == {"m1": "NO_CHECK", "m2": "DRAIN"}
        await engine.apply(bench.spec(bench.pool(bench.member(2))))
        assert await bench.bodies(6) == {"m2"}
        assert bench.pids() == pids
        await engine.stop()

    asyncio.run(scenario())


def test_removed_member_finishes_what_it_serves(bench: Bench, until: Until) -> None:
    """A request under way on a removed member is answered, and then the server is deleted."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        connection = await bench.connect()
        slow = asyncio.create_task(connection.ask("/slow"))

        async def under_way() -> bool:
            return (await bench.get("/open")).body == "1"

        await until(under_way)
        await engine.apply(bench.spec(bench.pool(bench.member(2))))
        assert await bench.bodies(4) == {"m2"}
        assert (await slow).body == "m1"
        connection.close()
        # Added again under the same id: only a server that is gone takes no reload.
        await until(lambda: _is_true(("pool.http", "m1") not in engine.draining))
        pids = bench.pids()
        await engine.apply(bench.spec(bench.pool(bench.member(2), bench.member(1))))
        assert await bench.bodies(6) == {"m1", "m2"}
        assert bench.pids() == pids
        await engine.stop()

    asyncio.run(scenario())


async def _is_true(value: bool) -> bool:
    return value


def test_counters_go_on_over_reloads(bench: Bench, until: Until) -> None:
    """Requests served before, during and after a reload are all counted, in one epoch."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        for _ in range(3):
            await bench.get()
        before = (await engine.observe()).listeners[0].counters
        assert before.total_connections == 3
        held = await bench.connect()
        await held.ask()
        listener = replace(spec.listeners[0], timeout_client_data=40_000)
        await engine.apply(replace(spec, listeners=(listener,)))
        assert len(bench.pids()) == 2
        await held.ask()
        held.close()
        await bench.get()

        async def left() -> bool:
            return len(bench.pids()) == 1

        await until(left)
        after = (await engine.observe()).listeners[0].counters
        assert after.epoch == before.epoch
        assert after.total_connections == 5
        assert after.bytes_in > before.bytes_in
        await engine.stop()

    asyncio.run(scenario())


def test_open_connections_are_counted(bench: Bench, until: Until) -> None:
    """The bytes of a connection count while it is open, not only at its end."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        front = Listener(id="listener", protocol="TCP", port=80, default_pool_id="pool")
        pool = bench.pool(bench.member(1), protocol="TCP")
        await engine.apply(bench.spec(pool, listeners=(front,)))
        connection = await bench.connect()

        async def counted() -> bool:
            await connection.ask()
            counters = (await engine.observe()).listeners[0].counters
            return counters.bytes_in > 0 and counters.bytes_out > 0

        await until(counted)
        connection.close()
        await engine.stop()

    asyncio.run(scenario())
