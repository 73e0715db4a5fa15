"""The network between agents and gateways, and the wake-ups of one machine.

A stream delivers frames in order, late, until it is cut: what is under way then is lost from some
frame on, and each side hears of the end in its own time, or of nothing until its patience is over.
Meanwhile the agent may have a second stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from statera.agent.stream import Dial
from statera.gateway.daemon import Attend
from statera.service.wake import Wakes
from tests.simulation.loop import CURRENT, Process
from tests.simulation.world import FORESEEN, World

KEEPALIVE = 15.0
"""Seconds after which a side of a silent stream gives it up."""
DIAL_PATIENCE = 10.0


class End:
    """One side of a stream, as `websockets` shows it."""

    def __init__(self, world: World, process: Process, name: str) -> None:
        self.name = name
        self.process = process
        self.peer: End
        self.open = True
        self.cut = False
        self._world = world
        self._frames: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._last = 0.0
        process.last_words.append(self._bury)

    async def send(self, frame: bytes, /) -> None:
        """Send a frame; it may never arrive."""
        if not self.open:
            raise ConnectionClosedError(None, None)
        self._world.note(f"send {self.name} {len(frame)} {zlib.crc32(frame):08x}", count="frames")
        self._tell_peer(lambda: self.peer.take(frame))

    async def recv(self) -> bytes:
        """Return the next frame."""
        while not self._frames:
            if not self.open:
                raise ConnectionClosedError(None, None)
            self._news.clear()
            await self._news.wait()
        return self._frames.popleft()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield frames until the end."""
        with contextlib.suppress(ConnectionClosedOK):
            while True:
                yield await self.recv()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream."""
        del code, reason
        if self.open:
            self.hear_end()
            self._tell_peer(self.peer.hear_end)
        await asyncio.sleep(0)

    def take(self, frame: bytes) -> None:
        """Receive a frame."""
        if self.open:
            self._frames.append(frame)
            self._news.set()

    def hear_end(self) -> None:
        """Learn that the stream has ended; frames that had arrived can still be read."""
        if self.open:
            self._world.note(f"closed {self.name}")
            self.open = False
            self._news.set()

    def lose(self, patience: float) -> None:
        """Lose the other side without a word; notice it after a while."""
        if not self.cut:
            self.cut = True
            self._after(self._world.random.uniform(0.0, patience), self.process, self.hear_end)

    def _bury(self) -> None:
        """Let the kernel close the socket of a process that died."""
        self.open = False
        self._tell_peer(self.peer.hear_end)

    def _tell_peer(self, what: Callable[[], None]) -> None:
        """Let something happen at the other side, after everything before it; unless it is cut."""
        delay = self._world.random.expovariate(500.0)
        self._last = max(self._last, self._world.loop.now + delay)

        def arrive() -> None:
            if not (self.cut or self.peer.cut):
                what()

        self._after(self._last - self._world.loop.now, self.peer.process, arrive)

    def _after(self, delay: float, process: Process, what: Callable[[], None]) -> None:
        self._world.loop.call_later(delay, what, context=process.context.copy())


class Network:
    """Who listens, which streams there are, and who is cut off."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.apart: set[str] = set()
        """Machines that reach no gateway."""
        self._listeners: dict[Process, Attend] = {}
        self._streams: list[tuple[str, End]] = []

    def listening(self, process: Process) -> Any:
        """Return what a gateway listens with."""

        @contextlib.asynccontextmanager
        async def listening(attend: Attend) -> AsyncIterator[None]:
            self._listeners[process] = attend
            process.last_words.append(lambda: self._forget(process))
            try:
                yield
            finally:
                self._listeners.pop(process, None)

        return listening

    def dial(self, machine: str, process: Process) -> Dial:
        """Return how the agent of a machine dials."""

        @contextlib.asynccontextmanager
        async def dial() -> AsyncIterator[End]:
            end = await self._connect(machine, process)
            try:
                yield end
            finally:
                await end.close()

        return dial

    def _forget(self, process: Process) -> None:
        self._listeners.pop(process, None)

    def cut(self, machine: str, patience: float) -> None:
        """Break the streams of a machine; each side notices within `patience` seconds."""
        for name, end in self._streams:
            if name == machine and end.open:
                self.world.note(f"cut {end.name}", count="streams cut")
                end.lose(patience)
                end.peer.lose(patience)
        self._streams = [(name, end) for name, end in self._streams if end.open]

    async def _connect(self, machine: str, process: Process) -> End:
        world = self.world
        await asyncio.sleep(world.random.uniform(0.001, 0.01))
        if machine in self.apart:
            await asyncio.sleep(world.random.uniform(0.0, DIAL_PATIENCE))
            raise TimeoutError("no answer")
        if not self._listeners:
            raise ConnectionRefusedError("nobody listens")
        chosen = world.random.choice(list(self._listeners))
        near = End(world, process, f"{process.name}->{chosen.name}")
        far = End(world, chosen, f"{chosen.name}->{process.name}")
        near.peer, far.peer = far, near
        self._streams.append((machine, near))
        world.note(f"dialled {near.name}", count="streams")
        attend = self._listeners[chosen](far, 0)
        task = chosen.within(world.loop.create_task, attend)
        task.add_done_callback(
            lambda done: _hang_up(world, far, done), context=chosen.context.copy()
        )
        return near


def _hang_up(world: World, end: End, attended: asyncio.Task[None]) -> None:
    """Close the stream as the server does when its handler has returned, or failed."""
    error = None if attended.cancelled() else attended.exception()
    if error is not None and not isinstance(error, FORESEEN):
        world.fail(error)
    if end.open and not end.process.dead:
        world.loop.create_task(end.close())


class Bell:
    """A virtual datagram socket."""

    def __init__(self, world: World) -> None:
        self._rung = False
        self._news = asyncio.Event()
        self._world = world

    def ring(self) -> None:
        """Make it readable."""
        self._rung = True
        self._news.set()

    async def receive(self, _size: int) -> bytes:
        """Return once it was rung."""
        while not self._rung:
            self._news.clear()
            await self._news.wait()
        self._rung = False
        return b"1"

    def recv(self, _size: int) -> bytes:
        """Take a datagram that is there already."""
        if not self._rung:
            raise BlockingIOError
        self._rung = False
        return b"1"

    def close(self) -> None:
        """Be silent."""


class Bells(Wakes):
    """Wake-ups: some come late, and some never."""

    def __init__(self, world: World) -> None:
        super().__init__(Path("/nonexistent"))
        self._world = world
        self._listeners: dict[Bell, tuple[str, Process]] = {}
        self.loss = 0.0
        """Chance that one is lost."""

    def send(self, topic: str) -> None:
        """Wake every listener of `topic`."""
        world = self._world
        for bell, (theirs, process) in list(self._listeners.items()):
            if process.dead:
                del self._listeners[bell]
            elif theirs == topic and world.random.random() >= self.loss:
                delay = world.random.expovariate(2000.0)
                world.loop.call_later(delay, bell.ring, context=process.context.copy())

    def listen(self, topic: str) -> Any:
        """Return what is rung when `topic` is woken."""
        bell = Bell(self._world)
        self._listeners[bell] = (topic, CURRENT.get())
        return bell
