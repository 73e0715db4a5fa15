"""What HAProxy refuses never replaces what works, and the user learns which object it was."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import msgspec
import pytest

from statera.agent.haproxy.process import StartFailed
from statera.lb.errors import Retryable
from statera.spec.document import Listener, Monitor, Persistence
from statera.spec.report import Fault

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

replace = msgspec.structs.replace
_TOO_LONG = 99_999_999_999


def _named(faults: tuple[Fault, ...]) -> list[tuple[str, str, bool]]:
    return [(fault.object_type, fault.object_id, fault.final) for fault in faults]


def test_refused_listener_keeps_its_last_good_form(bench: Bench) -> None:
    """A listener that HAProxy refuses goes on as it was, and everything else changes."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        good = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(good)
        bad = replace(good.listeners[0], timeout_client_data=_TOO_LONG)
        wish = replace(good, listeners=(bad,), pools=(bench.pool(bench.member(2)),))
        faults = await engine.apply(wish)
        assert _named(faults) == [("listener", "listener", True)]
        assert "timer overflow" in faults[0].text
        assert str(bench.directory) not in faults[0].text
        assert await bench.bodies(2) == {"m2"}
        pids = bench.pids()
        assert await engine.apply(replace(wish, generation=2)) == faults
        assert bench.pids() == pids
        assert await engine.apply(good) == ()
        assert await bench.bodies(2) == {"m1"}
        await engine.stop()

    asyncio.run(scenario())


def test_refused_listener_without_a_good_form_is_left_out(bench: Bench) -> None:
    """A new listener that HAProxy refuses is not bound; the others are."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        bad = Listener(id="bad", protocol="TCP", port=81, timeout_client_data=_TOO_LONG)
        faults = await engine.apply(replace(spec, listeners=(*spec.listeners, bad)))
        assert _named(faults) == [("listener", "bad", True)]
        assert await bench.bodies(1) == {"m1"}
        with pytest.raises(ConnectionRefusedError):
            await bench.connect(port=81)
        await engine.stop()

    asyncio.run(scenario())


def test_port_in_use_is_the_listeners_fault(bench: Bench) -> None:
    """A port that somebody else holds is that listener's fault; traffic goes on meanwhile."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        taken = bench.space.call(lambda: socket.create_server(("10.0.0.5", 81)))
        try:
            other = Listener(id="other", protocol="TCP", port=81)
            applying = asyncio.create_task(
                engine.apply(replace(spec, listeners=(*spec.listeners, other)))
            )
            while not applying.done():
                assert await bench.bodies(1) == {"m1"}
            faults = await applying
            assert _named(faults) == [("listener", "other", True)]
            assert "Address already in use" in faults[0].text
            assert await bench.bodies(1) == {"m1"}
        finally:
            taken.close()
        await engine.stop()

    asyncio.run(scenario())


def test_refused_cidrs_take_their_listener(bench: Bench) -> None:
    """A listener whose restriction cannot be carried out lets nobody in rather than everybody."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        closed = replace(spec.listeners[0], allowed_cidrs=("not a network",))
        faults = await engine.apply(replace(spec, listeners=(closed,)))
        assert _named(faults) == [("listener", "listener", True)]
        with pytest.raises(ConnectionRefusedError):
            await bench.connect()
        await engine.stop()

    asyncio.run(scenario())


def test_refused_member_monitor_and_pool(bench: Bench) -> None:
    """Each refused object carries its own fault, and the rest works without it."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        monitor = Monitor(
            id="hm", type="HTTP", delay=1, timeout=1, rise=1, fall=1, expected_codes="nonsense"
        )
        mixed = bench.pool(bench.member(1), bench.member(2, weight=999), monitor=monitor)
        broken = bench.pool(
            id="broken", persistence=Persistence(type="APP_COOKIE", cookie_name="a\nb")
        )
        spec = bench.spec(mixed, broken)
        second = replace(spec.listeners[0], id="second", port=82, default_pool_id="broken")
        faults = await engine.apply(replace(spec, listeners=(*spec.listeners, second)))
        assert sorted(_named(faults)) == [
            ("healthmonitor", "hm", True),
            ("member", "m2", True),
            ("pool", "broken", True),
        ]
        assert await bench.bodies(2) == {"m1"}
        connection = await bench.connect(port=82)
        assert (await connection.ask()).status == 503
        connection.close()
        await engine.stop()

    asyncio.run(scenario())


def test_nothing_to_blame_keeps_the_whole(bench: Bench) -> None:
    """When no object can be blamed nothing changes, and it is to be tried again."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        pids = bench.pids()
        broken = bench.engine(user="nobody-by-this-name")
        await engine.detach()
        await broken.adopt()
        listener = Listener(id="other", protocol="TCP", port=81)
        with pytest.raises(Retryable, match="nobody-by-this-name"):
            await broken.apply(replace(spec, listeners=(*spec.listeners, listener)))
        assert bench.pids() == pids
        assert await bench.bodies(1) == {"m1"}
        await broken.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("binary", ["/nonexistent/haproxy", "killed"])
def test_missing_or_killed_program_is_retryable(bench: Bench, binary: str) -> None:
    """Without a HAProxy to run, or one killed at its start, `apply` raises what is tried again."""

    async def scenario() -> None:
        program = bench.directory.parent / "killed"
        program.write_text("#!/bin/sh\nkill -9 $$\n")
        program.chmod(0o700)
        engine = bench.engine(binary=binary if "/" in binary else str(program))
        with pytest.raises(StartFailed):
            await engine.apply(bench.spec(bench.pool(bench.member(1))))
        assert not (await engine.observe()).serving
        assert not [path for path in bench.directory.iterdir() if path.suffix in (".sock", ".err")]
        await engine.stop()

    asyncio.run(scenario())
