"""The stream of one agent: what was sent to it, and what there is to send.

An agent gets the documents of amphorae placed on its machine and those of networks, and of these
only what is newer than what it holds.  Nothing is ever said about what the database does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import msgspec
from sqlalchemy.engine import Connection

from statera.gateway.threads import Threads
from statera.spec import wire
from statera.spec.abilities import needed
from statera.spec.document import AmphoraSpec, NetworkSpec
from statera.store import documents
from statera.store.documents import AMPHORA, Full, Head
from statera.store.observations import Arrival

LOG = logging.getLogger(__name__)

BATCH = 50
"""Documents fetched at once."""

Send = Callable[[bytes], Awaitable[None]]


class Stream:
    """What one agent holds and what it is about to get."""

    def __init__(self, hello: wire.Hello, arrival: Arrival, threads: Threads, send: Send) -> None:
        self.arrival = arrival
        self.machine_id = hello.machine_id
        self.abilities = frozenset(hello.abilities)
        self._threads = threads
        self._send = send
        self._held = {each.id: (each.epoch, each.revision) for each in hello.held}
        self._estranged = frozenset(arrival.ahead)
        self._offered: dict[str, Head] = {}
        self._news = asyncio.Event()

    def offer(self, heads: Iterable[Head]) -> None:
        """Take note of documents; those that concern this machine and are news will be sent."""
        for head in heads:
            if self._concerns(head) and self._is_news(head):
                self._offered[head.id] = head
        if self._offered:
            self._news.set()

    async def offer_everything(self) -> None:
        """Look at every document that concerns this machine."""
        self.offer(await self._threads.read(lambda c: documents.heads_of(c, self.machine_id)))

    async def run(self) -> None:
        """Send what is offered, until cancelled or the stream breaks."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._offered:
                ids = list(self._offered)[:BATCH]
                for each in ids:
                    del self._offered[each]
                for full in await self._threads.read(partial(_bodies, ids, self.machine_id)):
                    await self._deliver(full)

    def _concerns(self, head: Head) -> bool:
        return head.machine_id == self.machine_id or (
            head.machine_id is None and head.kind != AMPHORA
        )

    def _is_news(self, head: Head) -> bool:
        """Say whether the agent has to hear of it: also of the end of what it may never have had,
        because only its own word says that nothing is left."""
        held = self._held.get(head.id)
        if head.id in self._estranged and held is not None and head.epoch <= held[0]:
            return False  # only a repair overrules what this database did not publish
        if held is None:
            return not (head.retired and (head.settled or head.kind != AMPHORA))
        return head.order > held

    async def _deliver(self, full: Full) -> None:
        order = (full.epoch, full.revision)
        if order <= self._held.get(full.id, (-1, -1)):
            return
        message = self._message(full)
        if message is not None:
            await self._send(wire.encode(message))
            LOG.info(
                "document.sent machine=%s kind=%s id=%s revision=%d retired=%s",
                self.machine_id,
                full.kind,
                full.id,
                full.revision,
                full.retired,
            )
        self._held[full.id] = order

    def _message(self, full: Full) -> wire.Message | None:
        epoch, revision = full.epoch, full.revision
        if full.kind != AMPHORA:
            if full.body is None:
                return wire.RetireNetwork(network_id=full.id, epoch=epoch, revision=revision)
            network = msgspec.msgpack.decode(full.body, type=NetworkSpec)
            return wire.Network(spec=network, stamp=full.stamp)
        if full.body is None:
            return wire.Retire(amphora_id=full.id, epoch=epoch, revision=revision)
        spec = msgspec.msgpack.decode(full.body, type=AmphoraSpec)
        lacking = needed(spec) - self.abilities
        if lacking:
            names = ",".join(sorted(lacking))
            LOG.error("document.kept machine=%s id=%s lacking=%s", self.machine_id, full.id, names)
            return None
        return wire.Document(spec=spec, stamp=full.stamp)


def _bodies(ids: list[str], machine_id: str, connection: Connection) -> list[Full]:
    return documents.bodies(connection, ids, machine_id)


class Streams:
    """The streams of this gateway, by machine; the newest of a machine counts."""

    def __init__(self) -> None:
        self._by_machine: dict[str, Stream] = {}

    def add(self, stream: Stream) -> None:
        """Take note of a stream."""
        self._by_machine[stream.machine_id] = stream

    def all(self) -> list[Stream]:
        """Return the streams that count."""
        return list(self._by_machine.values())

    def counts(self, stream: Stream) -> bool:
        """Say whether no newer stream of its machine took its place."""
        return self._by_machine.get(stream.machine_id) is stream

    def remove(self, stream: Stream) -> bool:
        """Forget a stream; False when a newer one of its machine took its place."""
        if not self.counts(stream):
            return False
        del self._by_machine[stream.machine_id]
        return True

    def offer(self, heads: list[Head]) -> None:
        """Offer documents to whom they concern."""
        for stream in self.all():
            stream.offer(heads)

    async def offer_everything(self) -> None:
        """Let every stream look at everything that concerns it."""
        for stream in self.all():
            with contextlib.suppress(ConnectionError):
                await stream.offer_everything()
