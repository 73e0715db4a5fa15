"""The agent is killed between any two steps of a change; the next one puts everything right."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from statera.agent.haproxy.engine import Engine
from statera.agent.haproxy.ledger import Page
from statera.agent.haproxy.settings import HaproxySettings
from statera.agent.namespace import Namespace
from statera.spec.document import AmphoraSpec, Listener

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

Until = Callable[..., Awaitable[None]]
replace = msgspec.structs.replace

_POINTS = int(os.environ.get("STATERA_CRASH_POINTS", "8"))
"""At how many of the steps of each change the agent is killed; 0: at every one."""
_MANY = 1000


class _Mortal(asyncio.SelectorEventLoop):
    """An event loop that kills its process at a given turn; a turn lies between any two awaits."""

    turns_left = _MANY

    def _run_once(self) -> None:
        if self.turns_left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.turns_left -= 1
        super()._run_once()  # type: ignore[misc]


def _agent(bench: Bench, spec: AmphoraSpec, turns: int) -> int:
    """Run an agent that adopts and applies `spec`, killed after `turns` turns of applying.

    Return how many turns that took, or -1 if it did not get that far.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            loop = _Mortal()
            space = Namespace(bench.space.name)
            engine = Engine("amphora", bench.directory, space, HaproxySettings())
            loop.run_until_complete(engine.adopt())
            loop.turns_left = turns
            loop.run_until_complete(engine.apply(spec))
            os.write(writing, str(turns - loop.turns_left).encode())
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return int(said or -1)


def _noted(directory: Path) -> int:
    page = msgspec.json.decode((directory / "ledger.json").read_bytes(), type=Page)
    assert page.current
    return page.current.pid


@pytest.mark.parametrize("kind", ["reload", "runtime"])
def test_killed_agent(bench: Bench, until: Until, kind: str) -> None:
    """One process remains, it follows the next agent's document, and the disk knows it."""
    bench.backends(1, 2)
    old = bench.spec(bench.pool(bench.member(1)))
    new = bench.spec(bench.pool(bench.member(1), bench.member(2)))
    if kind == "reload":
        other = Listener(id="other", protocol="HTTP", port=81, default_pool_id="pool")
        new = replace(new, listeners=(*new.listeners, other))
    total = _turns(bench, old, new)
    step = max(total // _POINTS, 1) if _POINTS else 1
    for point in range(0, total + 1, step):
        _agent(bench, new, point)
        # The wish may have been taken back meanwhile, or not.
        for spec in (old, new) if point % 2 else (new, old):
            asyncio.run(_mended(bench, until, spec, point))
        _agent(bench, old, _MANY)


def _turns(bench: Bench, old: AmphoraSpec, new: AmphoraSpec) -> int:
    assert _agent(bench, old, _MANY) > 0
    total = _agent(bench, new, _MANY)
    assert total > 0
    _agent(bench, old, _MANY)
    return total


async def _mended(bench: Bench, until: Until, spec: AmphoraSpec, point: int) -> None:
    engine = bench.engine()
    await engine.adopt()
    assert await engine.apply(spec) == ()
    # HAProxy may give a server that was added at run time the first few requests in a row.
    assert await bench.bodies(24) == {one.id for one in spec.pools[0].members}, point
    if len(spec.listeners) == 1:
        with pytest.raises(ConnectionRefusedError):
            await bench.connect(port=81)

    async def alone() -> bool:
        files = {path.name for path in bench.directory.iterdir() if path.stem.isdigit()}
        return len(bench.pids()) == 1 and len(files) == 2

    await until(alone)
    assert bench.pids() == [_noted(bench.directory)], point
    await engine.detach()


def test_stray_that_does_not_answer_is_ended(bench: Bench, until: Until) -> None:
    """A process that an agent started and did not live to note is found even if it hangs."""

    async def scenario() -> None:
        bench.backends(1)
        spec = bench.spec(bench.pool(bench.member(1)))
        first = bench.engine()
        await first.apply(spec)
        (right,) = bench.pids()
        noted = (bench.directory / "ledger.json").read_bytes()
        held = await bench.connect()
        await held.ask()
        other = Listener(id="other", protocol="TCP", port=81)
        await first.apply(replace(spec, listeners=(*spec.listeners, other)))
        (stray,) = (pid for pid in bench.pids() if pid != right)
        await first.detach()
        (bench.directory / "ledger.json").write_bytes(noted)
        os.kill(stray, signal.SIGSTOP)
        second = bench.engine(hang_patience=1)
        await second.adopt()

        async def gone() -> bool:
            return stray not in bench.pids()

        await until(gone)
        held.close()
        await second.stop()
        assert bench.pids() == []

    asyncio.run(scenario())


def test_counters_never_run_backwards(bench: Bench, until: Until) -> None:
    """What an old process counted unseen is lost with the agent, and the epoch says so."""

    async def scenario() -> None:
        bench.backends(1)
        tcp = Listener(id="listener", protocol="TCP", port=80, default_pool_id="pool")
        pool = bench.pool(bench.member(1), protocol="TCP")
        spec = bench.spec(pool, listeners=(tcp,))
        first = bench.engine()
        await first.apply(spec)
        held = await bench.connect()
        await held.ask()
        changed = replace(spec, listeners=(replace(tcp, timeout_client_data=40_000),))
        await first.apply(changed)
        for _ in range(5):
            assert (await held.ask()).body == "m1"
        before = (await first.observe()).listeners[0].counters
        await bench.get()
        await first.detach()
        second = bench.engine()
        await second.adopt()
        lost = (await second.observe()).listeners[0].counters
        assert lost.epoch > before.epoch
        assert lost.total_connections == 0
        assert 0 <= lost.bytes_in < before.bytes_in
        await bench.get()
        held.close()

        async def alone() -> bool:
            return len(bench.pids()) == 1

        await until(alone)
        after = (await second.observe()).listeners[0].counters
        assert after.total_connections == 1
        # Nothing leaves any more, so nothing is lost with this agent.
        await until(lambda: _none_leaving(bench))
        await second.detach()
        third = bench.engine()
        await third.adopt()
        assert (await third.observe()).listeners[0].counters == after
        await third.stop()

    asyncio.run(scenario())


async def _none_leaving(bench: Bench) -> bool:
    page = msgspec.json.decode((bench.directory / "ledger.json").read_bytes(), type=Page)
    return page.leaving == ()


def test_refused_listener_counts_on(bench: Bench) -> None:
    """A listener that is out of service for a bad wish goes on counting where it was."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        for _ in range(3):
            await bench.get()
        bad = replace(spec.listeners[0], allowed_cidrs=("nonsense",))
        assert await engine.apply(replace(spec, listeners=(bad,))) != ()
        assert (await engine.observe()).listeners == ()
        assert await engine.apply(spec) == ()
        await bench.get()
        counters = (await engine.observe()).listeners[0].counters
        assert counters.total_connections == 4
        await engine.stop()

    asyncio.run(scenario())
