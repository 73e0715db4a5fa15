"""Dead members get no traffic: HAProxy's own checks and the PING prober, reloads included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from statera.spec.document import Listener, Monitor

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

Until = Callable[..., Awaitable[None]]
replace = msgspec.structs.replace


async def _all(bench: Bench, members: set[str]) -> bool:
    return await bench.bodies(2) == members


def _monitor(kind: str, **changes: object) -> Monitor:
    base = Monitor(id="hm", type=kind, delay=1, timeout=1, rise=1, fall=1)
    return replace(base, **changes)


@pytest.mark.parametrize(
    "monitor",
    [
        _monitor("TCP"),
        _monitor("HTTP", expected_codes="200-204", url_path='/it\'s?a="b"#$HOME'),
        _monitor("HTTP", expected_codes="200, 201", http_version=1.1, domain_name="test.example"),
    ],
    ids=["tcp", "http-1.0", "http-1.1"],
)
def test_dead_member_is_left(bench: Bench, until: Until, monitor: Monitor) -> None:
    """A check notices a dead member and its return; a reload does not revive it."""

    async def scenario() -> None:
        bench.backends(1)
        two = bench.space.backend("10.1.0.2", 80, "m2")
        engine = bench.engine()
        changed = asyncio.Event()
        engine.on_change = changed.set
        spec = bench.spec(bench.pool(bench.member(1), bench.member(2), monitor=monitor))
        assert await engine.apply(spec) == ()
        assert await bench.bodies(6) == {"m1", "m2"}
        changed.clear()
        two.kill()

        async def down() -> bool:
            return await bench.status(engine) == {"m1": "UP", "m2": "DOWN"}

        await until(down)
        assert changed.is_set()
        for port in range(90, 94):
            more = Listener(id="more", protocol="TCP", port=port)
            await engine.apply(replace(spec, listeners=(*spec.listeners, more)))
            assert await bench.status(engine) == {"m1": "UP", "m2": "DOWN"}
            assert {(await bench.get()).status for _ in range(6)} == {200}
            assert await bench.bodies(6) == {"m1"}
        bench.backends(2)
        await until(lambda: _all(bench, {"m1", "m2"}))
        await engine.stop()

    asyncio.run(scenario())


def test_tls_monitors_need_tls(bench: Bench, until: Until) -> None:
    """A member that speaks plain HTTP fails the TLS checks."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        for kind in ("HTTPS", "TLS-HELLO"):
            pool = bench.pool(bench.member(1), monitor=_monitor(kind))
            assert await engine.apply(bench.spec(pool)) == ()

            async def down() -> bool:
                return await bench.status(engine) == {"m1": "DOWN"}

            await until(down)
            assert (await engine.observe()).pools[0].status == "DOWN"
            assert (await bench.get()).status == 503
        await engine.stop()

    asyncio.run(scenario())


def test_ping_verdict(bench: Bench, until: Until) -> None:
    """A member that does not answer pings gets nothing, over reloads and a killed agent too."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        # The server of member 2 answers, but the address to be pinged does not exist.
        members = (
            bench.member(1),
            bench.member(2, monitor_address="10.1.0.99"),
            bench.member(3, monitor_address="fd00::5"),
        )
        spec = bench.spec(bench.pool(*members, monitor=_monitor("PING")))
        bench.space.ip("route", "add", "blackhole", "10.1.0.99")
        assert await engine.apply(spec) == ()

        async def down() -> bool:
            return (await bench.status(engine))["m2"] == "DOWN"

        await until(down)
        assert await bench.status(engine) == {"m1": "UP", "m2": "DOWN", "m3": "UP"}
        only = replace(spec, pools=(replace(spec.pools[0], members=members[:2]),))
        for port in range(90, 94):
            more = Listener(id="more", protocol="TCP", port=port)
            await engine.apply(replace(only, listeners=(*only.listeners, more)))
            assert await bench.bodies(6) == {"m1"}
            assert await bench.status(engine) == {"m1": "UP", "m2": "DOWN"}
        await engine.apply(only)
        await engine.detach()
        second = bench.engine()
        await second.adopt()
        assert await bench.status(second) == {"m1": "UP", "m2": "DOWN"}
        assert await bench.bodies(6) == {"m1"}
        bench.space.ip("route", "del", "blackhole", "10.1.0.99")
        bench.space.address("10.1.0.99/32")
        await until(lambda: _all(bench, {"m1", "m2"}))
        await second.stop()

    asyncio.run(scenario())


def test_removed_monitor_revives(bench: Bench, until: Until) -> None:
    """A member known to be dead serves again when nobody checks it any more."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        pool = bench.pool(bench.member(1), monitor=_monitor("TCP"))
        dead = replace(pool, members=(bench.member(1, monitor_port=81),))
        await engine.apply(bench.spec(dead))

        async def down() -> bool:
            return await bench.status(engine) == {"m1": "DOWN"}

        await until(down)
        await engine.apply(bench.spec(replace(dead, monitor=None)))
        assert await bench.bodies(2) == {"m1"}
        assert await bench.status(engine) == {"m1": "NO_CHECK"}
        await engine.stop()

    asyncio.run(scenario())
