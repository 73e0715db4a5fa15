"""The stream: how it is dialled again."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from websockets.asyncio.server import ServerConnection, unix_serve

from statera.agent.disk import Disk
from statera.agent.machine import Changes, Machine
from statera.agent.stream import Stream, StreamPace, unix_dial
from statera.spec import wire
from tests.unit.agent.surroundings import surroundings


def test_a_gateway_that_welcomes_and_drops_is_left_in_peace(tmp_path: Path) -> None:
    """Each stream that does not last makes the next pause longer, welcomed or not."""
    dialled = asyncio.run(_dial(tmp_path, times=7))
    pauses = [later - earlier for earlier, later in itertools.pairwise(dialled)]
    # It doubles from 0.02 s and jitter takes at most half: the sixth has 0.32 s at least.
    assert pauses[-1] > 0.3


async def _dial(folder: Path, times: int) -> list[float]:
    dialled: list[float] = []
    enough = asyncio.Event()
    clock = asyncio.get_running_loop().time

    async def drop(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(wire.encode(wire.Welcome(gateway_id="g")))
        dialled.append(clock())
        if len(dialled) == times:
            enough.set()

    changes = Changes()
    machine = Machine(surroundings(folder, changes.note), changes, 1.0)

    async def introduce() -> wire.Hello:
        return await machine.hello(Disk(folder).machine_id(), ())

    path = folder / "gateway"
    pace = StreamPace(first_retry=0.01, longest_retry=5.0)
    async with unix_serve(drop, str(path)), asyncio.timeout(20):
        running = asyncio.create_task(Stream(unix_dial(path, 5.0), machine, introduce, pace).run())
        await enough.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return dialled
