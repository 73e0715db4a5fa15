"""Nothing is left behind: descriptors, files, zombies, old processes."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest

from statera.agent.haproxy.engine import Engine
from statera.agent.haproxy.settings import HaproxySettings
from statera.lb.errors import Retryable
from statera.spec.document import AmphoraSpec

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

T = TypeVar("T")
Until = Callable[..., Awaitable[None]]
replace = msgspec.structs.replace


class Gone:
    """A namespace that is not there any more."""

    name = "gone"

    def call(self, _work: Callable[[], T], /) -> T:
        raise Retryable("The network namespace is gone.")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _files(bench: Bench) -> list[str]:
    return sorted(path.suffix for path in bench.directory.iterdir() if path.stem.isdigit())


def _zombies() -> set[int]:
    """Return the zombies among our children (other tests leave some)."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    states = {
        int(pid): Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        for pid in children
    }
    return {pid for pid, state in states.items() if state == "Z"}


def _turn(spec: AmphoraSpec, number: int) -> AmphoraSpec:
    """Return a form of `spec` that takes a reload, another one for every number."""
    listener = replace(spec.listeners[0], timeout_client_data=40_000 + number)
    return replace(spec, listeners=(listener,))


def test_reloads_leave_nothing(bench: Bench, until: Until) -> None:
    """After many reloads, refused ones among them, as much is open as after the first."""

    async def scenario() -> None:
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        await engine.apply(_turn(spec, 0))

        async def alone() -> bool:
            return len(bench.pids()) == 1 and _files(bench) == [".err", ".sock"]

        await until(alone)
        before, zombies = _descriptors(), _zombies()
        for number in range(1, int(os.environ.get("STATERA_RELOADS", "25"))):
            await engine.apply(_turn(spec, number))
            assert await engine.apply(_turn(spec, 99_999_999_999)) != ()
        await until(alone)
        assert _descriptors() <= before
        assert _zombies() <= zombies
        await engine.stop()
        assert _files(bench) == []

    asyncio.run(scenario())


def test_files_are_private(bench: Bench) -> None:
    """Nobody but root may read the configuration, or speak to the process."""

    async def scenario() -> None:
        engine = bench.engine()
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        assert stat.S_IMODE(bench.directory.stat().st_mode) == 0o700
        for path in bench.directory.iterdir():
            wanted = 0o555 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.stat().st_mode) == wanted, path
        await engine.stop()

    asyncio.run(scenario())


def test_failed_starts_leave_nothing(bench: Bench) -> None:
    """Starts in a namespace that is gone leave neither descriptors nor files."""

    async def scenario() -> None:
        engine = Engine("amphora", bench.directory, Gone(), HaproxySettings())
        spec = bench.spec(bench.pool(bench.member(1)))
        with pytest.raises(Retryable):
            await engine.apply(spec)
        before = _descriptors()
        for _ in range(5):
            with pytest.raises(Retryable):
                await engine.apply(spec)
        assert _descriptors() == before
        assert _files(bench) == []
        await engine.stop()

    asyncio.run(scenario())


def test_full_disk_leaves_one_process(bench: Bench, until: Until) -> None:
    """When what is in force cannot be noted, the old process goes all the same."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        blocked = bench.directory / "haproxy.cfg.tmp"
        blocked.mkdir()
        for number in range(3):
            with pytest.raises(OSError, match="Is a directory"):
                await engine.apply(_turn(spec, number))

        async def alone() -> bool:
            return len(bench.pids()) == 1

        await until(alone)
        assert await bench.bodies(4) == {"m1"}
        blocked.rmdir()
        pids = bench.pids()
        assert await engine.apply(_turn(spec, 2)) == ()
        await engine.detach()
        second = bench.engine()
        await second.adopt()
        assert bench.pids() == pids
        await second.stop()

    asyncio.run(scenario())


def test_restart_goes_on_until_the_disk_takes_it(bench: Bench, until: Until) -> None:
    """A process that dies while nothing can be written comes back when that is over."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine(restart_ceiling=1)
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        trial = bench.directory / "haproxy.cfg.new"
        trial.unlink()
        trial.mkdir()
        os.kill(bench.pids()[0], signal.SIGKILL)

        async def dead() -> bool:
            return not (await engine.observe()).serving

        await until(dead)
        turns = 0

        async def tried() -> bool:
            nonlocal turns
            turns += 1
            return turns > 50

        await until(tried)
        trial.rmdir()

        async def serving() -> bool:
            return (await engine.observe()).serving

        await until(serving)
        assert await bench.bodies(2) == {"m1"}
        await engine.stop()

    asyncio.run(scenario())


def test_old_processes_are_bounded(bench: Bench, until: Until) -> None:
    """Clients that never leave cannot keep more old processes alive than the limit."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine(leaving_limit=2)
        spec = bench.spec(bench.pool(bench.member(1)))
        await engine.apply(spec)
        held = []
        for number in range(5):
            held.append(await bench.connect())
            await held[-1].ask()
            await engine.apply(_turn(spec, number))

        async def bounded() -> bool:
            return len(bench.pids()) == 3

        await until(bounded)
        assert (await held[-1].ask()).body == "m1"
        for connection in held:
            connection.close()
        await engine.stop()

    asyncio.run(scenario())
