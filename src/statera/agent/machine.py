"""Everything this machine carries: its networks and amphorae, each with a convergence of its own.

They run in parallel, but only so many at once.  The machine takes documents from the stream,
restores them from disk before any controller is heard, looks at every engine about once a second,
and knows what has something new to report.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import Coroutine, Iterable
from typing import Any

from statera.agent.amphora import Amphora, Surroundings
from statera.agent.disk import AmphoraRecord, NetworkRecord, Record, newer
from statera.agent.network import Network
from statera.lb.errors import Retryable, StateraError
from statera.spec import wire
from statera.spec.document import SPEC_VERSION, NetworkSpec
from statera.spec.report import AmphoraReport, NetworkReport

LOG = logging.getLogger(__name__)

_NETWORK_PATIENCE = 5.0
"""Seconds."""
_BUSY_SHARE = 4
"""Looking at the engines takes at most one part in five of the time."""


class Changes:
    """The ids of what has something new to report, until somebody takes them."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._any = asyncio.Event()

    def note(self, object_id: str) -> None:
        """Something about the object is new."""
        self._ids.add(object_id)
        self._any.set()

    async def wait(self) -> None:
        """Return when there is something."""
        await self._any.wait()

    def take(self) -> frozenset[str]:
        """Return what is new, and begin anew."""
        taken, self._ids = frozenset(self._ids), set()
        self._any.clear()
        return taken


class Machine:
    """The networks and amphorae of one machine."""

    def __init__(self, around: Surroundings, changes: Changes, observe_interval: float) -> None:
        self.changes = changes
        self._around = around
        self._interval = observe_interval
        self._amphorae: dict[str, Amphora] = {}
        self._networks: dict[str, Network] = {}
        self._graves: dict[str, Record] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def restore(self) -> None:
        """Begin to make true what is on disk: networks first, for amphorae need them."""
        disk = self._around.disk
        strays = await self._end_strays()
        for network_record in await asyncio.to_thread(disk.networks):
            self._begin(network_record).restored()
        await self._first_look()
        for record in await asyncio.to_thread(disk.amphorae):
            self._begin(record).restored()
        LOG.info(
            "machine.restored amphorae=%d networks=%d strays=%d",
            len(self._amphorae),
            len(self._networks),
            strays,
        )

    async def hello(self, machine_id: str, abilities: tuple[str, ...]) -> wire.Hello:
        """Return how this machine introduces itself."""
        records: list[Record | None] = [each.kept for each in self._amphorae.values()]
        records += [each.kept for each in self._networks.values()]
        records += self._graves.values()
        return wire.Hello(
            machine_id=machine_id,
            host=socket.gethostname(),
            spec_version=SPEC_VERSION,
            abilities=abilities,
            occupied=await asyncio.to_thread(self._around.host.ranges),
            held=tuple(_held(record) for record in records if record is not None),
        )

    def obey(self, message: wire.FromGateway) -> None:
        """Take what a gateway says; a document no newer than the one held changes nothing."""
        try:
            self._obey(message)
        except (ValueError, StateraError) as error:
            LOG.error("machine.refused kind=%s error=%s", type(message).__name__, error)

    def reports(self, ids: frozenset[str] | None) -> Iterable[AmphoraReport | NetworkReport]:
        """Return reports about the objects named; None: about everything but tombstones."""
        living = [*self._networks, *self._amphorae]
        for object_id in living if ids is None else sorted(ids):
            each = self._networks.get(object_id) or self._amphorae.get(object_id)
            if each is not None:
                report = each.report()
                if report is not None:
                    yield report
            elif object_id in self._graves:
                yield _obituary(self._graves[object_id])

    def note_everything(self) -> None:
        """Let everything be reported, tombstones included: the listener is a new one."""
        for object_id in [*self._networks, *self._amphorae, *self._graves]:
            self.changes.note(object_id)

    async def observe(self) -> None:
        """Look at every engine, again and again, until cancelled.

        One that does not answer delays nobody else; many make the rounds rarer, not costlier.
        """
        clock = asyncio.get_running_loop().time
        pending: dict[str, asyncio.Task[None]] = {}
        while True:
            began = clock()
            await self._look_around()
            # Only who is asked anew is waited for: one that hangs would slow every round down.
            asked = {
                each.id: asyncio.create_task(each.observe())
                for each in self._amphorae.values()
                if each.id not in pending
            }
            if asked:
                await asyncio.wait(asked.values(), timeout=self._interval)
            pending = {key: task for key, task in (pending | asked).items() if not task.done()}
            took = clock() - began
            await asyncio.sleep(max(self._interval - took, took * _BUSY_SHARE, 0.05))

    async def _look_around(self) -> None:
        """Let everything that was taken away behind our back be made again."""
        try:
            links = await asyncio.to_thread(self._around.host.links)
        except OSError as error:  # the kernel is short of memory: it is asked again
            LOG.warning("machine.blind error=%s", error)
            return
        for network in self._networks.values():
            network.look_around(links)
        for amphora in self._amphorae.values():
            amphora.look_around(links)

    async def leave(self) -> None:
        """End all work; what is true on the machine stays true."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        leaving = (each.leave() for each in self._amphorae.values())
        await asyncio.gather(*leaving, return_exceptions=True)

    def _obey(self, message: wire.FromGateway) -> None:
        match message:
            case wire.Document(spec=spec, stamp=stamp):
                self._take(
                    AmphoraRecord(
                        id=_checked(spec.amphora_id),
                        epoch=spec.epoch,
                        revision=spec.revision,
                        spec=spec,
                        stamp=stamp,
                    )
                )
            case wire.Retire(amphora_id=amphora_id, epoch=epoch, revision=revision):
                self._take(AmphoraRecord(id=_checked(amphora_id), epoch=epoch, revision=revision))
            case wire.Network(spec=network, stamp=stamp):
                self._take(
                    NetworkRecord(
                        id=_checked(network.network_id),
                        epoch=network.epoch,
                        revision=network.revision,
                        spec=network,
                        stamp=stamp,
                    )
                )
            case wire.RetireNetwork(network_id=network_id, epoch=epoch, revision=revision):
                self._take(NetworkRecord(id=_checked(network_id), epoch=epoch, revision=revision))

    def _take(self, record: Record) -> None:
        grave = self._graves.get(record.id)
        if grave is not None and not newer(record, grave):
            self.changes.note(record.id)
            return
        self._graves.pop(record.id, None)
        match record:
            case AmphoraRecord() if record.id in self._amphorae:
                self._amphorae[record.id].obey(record)
            case NetworkRecord() if record.id in self._networks:
                self._networks[record.id].obey(record)
            case _:
                self._begin(record)

    def _begin(self, record: Record) -> Amphora | Network:
        match record:
            case AmphoraRecord():
                amphora = self._amphorae[record.id] = Amphora(self._around, record)
                self._start(self._live(amphora, self._amphorae))
                return amphora
            case NetworkRecord():
                network = Network(self._around, record, self._network_ready)
                self._networks[record.id] = network
                self._start(self._live(network, self._networks))
                return network

    async def _live(self, each: Amphora | Network, among: dict[str, Any]) -> None:
        """Converge until retired: of what is gone only the tombstone takes memory."""
        self._graves[each.id] = await each.run()
        del among[each.id]
        self.changes.note(each.id)

    async def _end_strays(self) -> int:
        try:
            return await asyncio.to_thread(self._around.host.end_strays, self._around.disk.engines)
        except Retryable as error:  # one that cannot be ended must not keep all others from serving
            LOG.error("machine.strays error=%s", error)
            return 0

    async def _first_look(self) -> None:
        """Wait until each network was tried once; what is slow then has its amphorae wait."""
        looks = [asyncio.create_task(each.looked.wait()) for each in self._networks.values()]
        if looks:
            _, late = await asyncio.wait(looks, timeout=_NETWORK_PATIENCE)
            for task in late:
                task.cancel()

    def _network_ready(self, network_id: str, new: bool) -> None:
        for amphora in self._amphorae.values():
            amphora.network_ready(network_id, new=new)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            LOG.critical("machine.convergence_died", exc_info=task.exception())


def _checked(object_id: str) -> str:
    """Return the id in its canonical form; raise `ValueError` if it is none."""
    return str(uuid.UUID(object_id))


def _held(record: Record) -> wire.Held:
    network = isinstance(record, NetworkRecord)
    subnets = record.spec.subnets if isinstance(record.spec, NetworkSpec) else ()
    return wire.Held(
        id=record.id,
        epoch=record.epoch,
        revision=record.revision,
        network=network,
        retired=record.spec is None,
        stamp=record.stamp,
        ranges=tuple(each.cidr for each in subnets),
    )


def _obituary(record: Record) -> AmphoraReport | NetworkReport:
    epoch, revision = record.epoch, record.revision
    if isinstance(record, NetworkRecord):
        return NetworkReport(network_id=record.id, epoch=epoch, revision=revision, retired=True)
    return AmphoraReport(
        amphora_id=record.id, epoch=epoch, revision=revision, generation=0, retired=True
    )
