"""One schedule: a world from a seed, clients and faults for a while, then rest."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.client import Client
from tests.simulation.house import House, Lost
from tests.simulation.nemesis import Nemesis
from tests.simulation.oracle import Oracle
from tests.simulation.world import Broken, World

FAST_DISK = Path("/dev/shm")
CLIENTS = 3
WISHES = 10
FAULTY = 15.0
"""Seconds of faults."""
BOUND = 700.0
"""Seconds after the last fault within which everything is as wished: the longest time that a clock
set back makes work wait (`store.work.FURTHEST`), twice, and a while."""


@dataclass(frozen=True)
class Outcome:
    """What came of a schedule; `error` is None if every invariant held."""

    seed: int
    trace: str
    steps: int
    seconds: float
    """Virtual time."""
    settled: float
    """Virtual seconds from the last fault until everything was as wished."""
    counts: dict[str, int]
    error: str | None = None


def run(seed: int, *, verbose: bool = False) -> Outcome:
    """Run the schedule of a seed; the same seed does the same."""
    folder = FAST_DISK if FAST_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="simulation", dir=folder) as directory:
        world = World(seed, verbose=verbose)
        schedule = _Schedule(world, Path(directory))
        error = None
        try:
            world.run(schedule.main())
        except Exception as failure:
            recent = "\n".join(world.recent)
            error = f"{recent}\nseed {seed}: {type(failure).__name__}: {failure}"
            if verbose:
                raise
        finally:
            schedule.house.storage.close()
        return Outcome(
            seed,
            world.trace,
            world.loop.steps,
            world.loop.now,
            schedule.settled,
            world.counts,
            error,
        )


class _Schedule:
    def __init__(self, world: World, directory: Path) -> None:
        self.house = House(world, directory)
        self.settled = 0.0
        self._world = world
        self._oracle = Oracle(self.house)
        self._clients = [
            Client(self.house, world.dice(f"client {number}"), number) for number in range(CLIENTS)
        ]
        self._nemesis = Nemesis(self.house, world.dice("faults"))
        world.checks.append(self._oracle.check)
        world.checks.extend(client.check for client in self._clients)

    async def main(self) -> None:
        """Be the schedule."""
        for name in self.house.names:
            self.house.start(name)
        writing = [
            self._world.start(self._world.outside, client.run(WISHES)) for client in self._clients
        ]
        await self._nemesis.run(FAULTY)
        began = self._world.loop.now
        await asyncio.wait(writing, timeout=BOUND)
        await self._rest()
        self.settled = self._world.loop.now - began
        for client in self._clients:
            try:
                await client.look()
            except Lost as error:
                raise Broken("the API lives and does not answer") from error

    async def _rest(self) -> None:
        """Wait until everything is as wished; raise `Broken` if that takes too long."""
        end = self._world.loop.now + BOUND
        while (left := self._oracle.unfinished()) is not None:
            if self._world.loop.now > end:
                raise Broken(f"not as wished {BOUND:.0f} s after the last fault: {left}")
            await asyncio.sleep(1.0)
