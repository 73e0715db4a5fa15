"""The gateway process: agents dial in on a unix socket and keep a stream each.

It can be killed at any time: agents dial again, say what they hold, and get what is newer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import struct
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed

from statera.gateway.refusals import Refusals
from statera.gateway.reports import Reports, is_id
from statera.gateway.settings import GatewaySettings
from statera.gateway.stream import Stream, Streams
from statera.gateway.threads import Threads
from statera.service.wake import DOCUMENTS, WORK, Wakes
from statera.spec import wire
from statera.store import documents, observations, refusals
from statera.store.database import Database
from statera.store.documents import Head
from statera.store.holdings import survey

LOG = logging.getLogger(__name__)

LATELY = 10.0
"""Seconds looked back over for documents when woken; a slow look finds what committed later."""
HELLO_SECONDS = 10.0
LONGEST_HOST = 255
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011


class Connection(Protocol):
    """An open stream of frames; it raises `websockets.ConnectionClosed` once it is broken."""

    async def send(self, frame: bytes, /) -> None:
        """Send a frame."""
        ...

    async def recv(self) -> str | bytes:
        """Return the next frame."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the stream."""
        ...


Attend = Callable[[Connection, int], Awaitable[None]]
"""Keeps one stream, of a peer that runs as that user, until either side ends it."""
Listening = Callable[[Attend], AbstractAsyncContextManager[None]]
"""While it is entered, agents can dial, and each stream is attended."""


async def run(
    database: Database,
    wakes: Wakes,
    settings: GatewaySettings,
    stop: asyncio.Event,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve agents of this machine until `stop` is set; `ready` is called once they can dial."""
    threads = Threads(database, settings.threads)
    try:
        gateway = Gateway(threads, wakes, settings)
        await gateway.run(stop, ready, lambda attend: _on_socket(settings, attend))
    finally:
        threads.close()


@contextlib.asynccontextmanager
async def _on_socket(settings: GatewaySettings, attend: Attend) -> AsyncIterator[None]:
    async def admit(connection: ServerConnection) -> None:
        await attend(connection, _uid(connection))

    listener = _listen(Path(settings.socket))
    server = await unix_serve(
        admit, sock=listener, compression=None, max_size=settings.message_limit
    )
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()


class Gateway:
    """Sends documents to agents and stores their reports."""

    def __init__(self, threads: Threads, wakes: Wakes, settings: GatewaySettings) -> None:
        self._id = str(uuid.uuid4())
        self._threads = threads
        self._wakes = wakes
        self._settings = settings
        self._streams = Streams()
        self._refusals = Refusals(threads)
        self._connections: dict[str, Connection] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._noting = asyncio.Lock()  # who came and went is written in the order of events

    async def run(
        self, stop: asyncio.Event, ready: Callable[[], None], listening: Listening
    ) -> None:
        """Serve agents until `stop` is set; `ready` is called once they can dial."""
        await self._threads.write(lambda c: observations.beat(c, self._id))
        try:
            async with listening(self._attend):
                LOG.info("gateway.started gateway=%s socket=%s", self._id, self._settings.socket)
                ready()
                await self._work(stop)
        finally:
            await self._threads.write(lambda c: observations.vanish(c, self._id))
            LOG.info("gateway.stopped gateway=%s", self._id)

    async def _work(self, stop: asyncio.Event) -> None:
        helpers = [asyncio.create_task(each) for each in (self._beat(), self._publish())]
        try:
            await stop.wait()
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await self._refusals.flush()

    async def _attend(self, connection: Connection, uid: int) -> None:
        """Keep one stream of a peer, whose user the kernel vouches for, until either side ends."""
        peer = f"uid {uid}"
        if uid not in (0, os.geteuid()):
            self._refusals.note(peer, refusals.MACHINE, ["-"])
            await connection.close(POLICY_VIOLATION, "not the agent's user")
            return
        try:
            hello = await self._greet(connection)
            arrival = await self._admit(hello, peer) if hello is not None else None
            if hello is None or arrival is None:
                await connection.close(POLICY_VIOLATION, "no hello")
            else:
                await self._converse(connection, hello, arrival)
        except ConnectionClosed:
            pass
        except (TimeoutError, msgspec.DecodeError) as error:
            LOG.warning("stream.refused error=%s", error)
            await connection.close(POLICY_VIOLATION, "no hello")

    async def _greet(self, connection: Connection) -> wire.Hello | None:
        hello = await asyncio.wait_for(_receive(connection), HELLO_SECONDS)
        return hello if isinstance(hello, wire.Hello) else None

    async def _admit(self, hello: wire.Hello, peer: str) -> observations.Arrival | None:
        """Say who arrives, before anybody is replaced; None if the peer is not that machine."""
        machine_id = hello.machine_id
        if not is_id(machine_id) or len(hello.host) > LONGEST_HOST:
            return None
        try:
            await self._threads.read(lambda c: observations.authenticate(c, machine_id, peer))
        except observations.NotThisMachine:
            self._refusals.note(peer, refusals.MACHINE, [machine_id])
            return None
        held = [each for each in hello.held if is_id(each.id)]
        found = await self._threads.read(lambda c: survey(c, machine_id, held))
        self._refusals.note(machine_id, refusals.AMPHORA, found.foreign)
        if found.unknown or found.ahead:
            strange = ",".join(found.unknown[:10])
            newer = ",".join(found.ahead[:10])
            LOG.warning(
                "machine.estranged machine=%s unknown=%s ahead=%s", machine_id, strange, newer
            )
        return observations.Arrival(
            machine_id=machine_id,
            peer=peer,
            host=hello.host,
            gateway_id=self._id,
            abilities=hello.abilities,
            occupied=(*hello.occupied, *found.ranges),
            unknown=len(found.unknown),
            ahead=found.ahead,
        )

    async def _converse(
        self, connection: Connection, hello: wire.Hello, arrival: observations.Arrival
    ) -> None:
        stream = Stream(hello, arrival, self._threads, connection.send)
        reports = Reports(hello.machine_id, self._threads, self._wakes, self._refusals.note)
        self._replace(stream, connection)
        helpers: list[asyncio.Task[None]] = []
        try:
            await self._arrive(stream)
            welcome = wire.Welcome(
                gateway_id=self._id, report_interval=self._settings.report_interval
            )
            await connection.send(wire.encode(welcome))
            for work in (stream.run(), reports.judge(), self._flush(reports)):
                helpers.append(asyncio.create_task(self._tend(work, stream, connection)))
            await stream.offer_everything()
            await self._listen(connection, stream, reports)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await reports.flush()
            await self._depart(stream)

    async def _listen(self, connection: Connection, stream: Stream, reports: Reports) -> None:
        """Take reports until a newer stream of the machine counts: an older one is out of date."""
        while self._streams.counts(stream):
            try:
                message = await _receive(connection)
            except msgspec.DecodeError as error:  # rubbish, or of a later release: not for us
                LOG.warning("stream.unreadable machine=%s error=%.200s", stream.machine_id, error)
                continue
            if isinstance(message, wire.Report) and self._streams.counts(stream):
                await reports.take(message)

    def _replace(self, stream: Stream, connection: Connection) -> None:
        """Let a stream count for its machine; an older one is ended."""
        self._streams.add(stream)
        before = self._connections.pop(stream.machine_id, None)
        self._connections[stream.machine_id] = connection
        if before is not None:
            closing = asyncio.create_task(before.close(POLICY_VIOLATION, "there is a newer stream"))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _arrive(self, stream: Stream) -> None:
        async with self._noting:
            waiting = await self._threads.write(lambda c: observations.arrive(c, stream.arrival))
        LOG.info("machine.connected machine=%s host=%s", stream.machine_id, stream.arrival.host)
        if waiting:
            self._wakes.send(WORK)

    async def _depart(self, stream: Stream) -> None:
        machine_id = stream.machine_id
        async with self._noting:
            if not self._streams.remove(stream):
                return
            self._connections.pop(machine_id, None)
            await self._threads.write(lambda c: observations.depart(c, machine_id, self._id))
            LOG.info("machine.disconnected machine=%s", machine_id)

    async def _tend(
        self, work: Coroutine[Any, Any, None], stream: Stream, connection: Connection
    ) -> None:
        """Work beside the stream; when that fails the stream ends, and the agent dials again."""
        try:
            await work
        except ConnectionClosed:
            pass
        except Exception:
            LOG.exception("stream.broken machine=%s", stream.machine_id)
            await connection.close(INTERNAL_ERROR, "the gateway cannot go on")

    async def _flush(self, reports: Reports) -> None:
        while True:
            await asyncio.sleep(self._settings.flush_interval)
            await reports.flush()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.beat_interval)
            try:
                await self._beat_once()
            except Exception as error:
                LOG.warning("gateway.silent error=%s", error)
            await self._refusals.flush()

    async def _beat_once(self) -> None:
        """Beat; whoever took us for dead meanwhile took our machines for silent: they are not."""
        async with self._noting:
            here = [stream.arrival for stream in self._streams.all()]
            waiting = await self._threads.write(lambda c: observations.beat(c, self._id, here))
        if waiting:
            self._wakes.send(WORK)

    async def _publish(self) -> None:
        """Offer new documents to the streams: when woken at once, and by a slow look."""
        looked = 0.0
        with contextlib.closing(self._wakes.listen(DOCUMENTS)) as woken:
            while True:
                try:
                    if await self._is_woken(woken):
                        await self._offer_news()
                    if time.monotonic() - looked >= self._settings.poll_interval:
                        await self._streams.offer_everything()
                        looked = time.monotonic()
                except Exception as error:
                    LOG.warning("documents.unread error=%s", error)
                    await asyncio.sleep(self._settings.poll_interval)

    async def _is_woken(self, woken: socket.socket) -> bool:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.sock_recv(woken, 16), self._settings.poll_interval)
        except TimeoutError:
            return False
        with contextlib.suppress(BlockingIOError):
            while True:
                woken.recv(16)
        return True

    async def _offer_news(self) -> None:
        heads: list[Head] = await self._threads.read(lambda c: documents.heads_of_late(c, LATELY))
        self._streams.offer(heads)


async def _receive(connection: Connection) -> wire.FromAgent:
    frame = await connection.recv()
    return wire.decode_from_agent(frame if isinstance(frame, bytes) else frame.encode())


def _listen(path: Path) -> socket.socket:
    """Return a listening socket that only our own user can open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.fchmod(listener.fileno(), 0o600)  # before bind: the file is born with it
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(128)
    return listener


def _uid(connection: ServerConnection) -> int:
    """Return the user that the peer runs as, which the kernel vouches for."""
    peer = connection.transport.get_extra_info("socket")
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", credentials)
    return int(uid)
