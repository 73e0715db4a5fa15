"""What goes wrong: faults at random times, each of which ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

from tests.simulation.house import House


class Nemesis:
    """Causes faults until it is told to stop; then everything is mended."""

    def __init__(self, house: House, random: Random) -> None:
        self._house = house
        self._random = random
        self._kinds: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._crash,
            self._crash,
            self._crash_at_checkpoint,
            self._cut,
            self._cut,
            self._partition,
            self._database_errors,
            self._database_away,
            self._database_clock,
            self._process_clock,
            self._engine_dies,
            self._kernel_trouble,
            self._reboot,
            self._deaf,
        ]

    async def run(self, seconds: float) -> None:
        """Cause faults for so long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        pace = self._random.choice((0.3, 1.0, 3.0))
        under_way: set[asyncio.Task[None]] = set()
        while loop.time() < end:
            await asyncio.sleep(self._random.expovariate(1.0 / pace))
            if len(under_way) < 3:
                fault = self._random.choice(self._kinds)
                self._house.world.note(f"fault {fault.__name__}", count=fault.__name__[1:])
                task = loop.create_task(fault())
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        for task in list(under_way):
            await task
        self.mend()

    def mend(self) -> None:
        """End every fault: from now on everything lives and is reached."""
        house = self._house
        house.crash_at = None
        house.storage.faults.chance = 0.0
        house.storage.faults.unreachable.clear()
        house.network.apart.clear()
        house.bells.loss = 0.0
        for machine in house.machines.values():
            machine.trouble = 0.0
        for name in house.names:
            house.start(name)
        house.world.note("mended")

    async def _crash(self) -> None:
        name = self._random.choice(self._house.names)
        self._house.kill(name)
        await self._wait(0.5)
        self._house.start(name)

    async def _crash_at_checkpoint(self) -> None:
        house = self._house
        name = f"controller-{self._random.randrange(2)}"
        house.crash_at = (name, self._random.randrange(1, 12))
        await self._wait(3.0)
        if house.crash_at is not None and house.crash_at[0] == name:
            house.crash_at = None
        house.start(name)

    async def _cut(self) -> None:
        machine = self._random.choice(list(self._house.machines))
        self._house.network.cut(machine, self._random.choice((0.05, 1.0, 15.0)))

    async def _partition(self) -> None:
        network = self._house.network
        machine = self._random.choice(list(self._house.machines))
        network.apart.add(machine)
        network.cut(machine, 15.0)
        await self._wait(8.0)
        network.apart.discard(machine)

    async def _database_errors(self) -> None:
        faults = self._house.storage.faults
        faults.chance = self._random.choice((0.01, 0.03, 0.1))
        await self._wait(2.0)
        faults.chance = 0.0

    async def _database_away(self) -> None:
        faults = self._house.storage.faults
        name = self._random.choice(self._house.names)
        faults.unreachable.add(name)
        await self._wait(self._random.choice((3.0, 3.0, 3.0, 40.0)))
        faults.unreachable.discard(name)

    async def _database_clock(self) -> None:
        jump = self._random.choice((-3600.0, -90.0, -5.0, 5.0, 40.0, 3600.0))
        self._house.world.database_skew += jump

    async def _process_clock(self) -> None:
        for process in self._house.lives.values():
            if self._random.random() < 0.3:
                process.skew += self._random.choice((-3600.0, -5.0, 5.0, 3600.0))

    async def _engine_dies(self) -> None:
        machine = self._random.choice(list(self._house.machines.values()))
        if machine.spaces:
            machine.kill_engine(self._random.choice(list(machine.spaces)))

    async def _kernel_trouble(self) -> None:
        machine = self._random.choice(list(self._house.machines.values()))
        machine.trouble = 0.2
        await self._wait(2.0)
        machine.trouble = 0.0

    async def _reboot(self) -> None:
        name = self._random.choice([each for each in self._house.names if "@" in each])
        self._house.kill(name)
        self._house.machine_of(name).reboot()
        await self._wait(3.0)
        self._house.start(name)

    async def _deaf(self) -> None:
        self._house.bells.loss = 0.7
        await self._wait(3.0)
        self._house.bells.loss = 0.0

    async def _wait(self, mean: float) -> None:
        await asyncio.sleep(self._random.expovariate(1.0 / mean))
