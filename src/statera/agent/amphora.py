"""One amphora: its documents made true, one attempt after the other, the newest document winning.

The order on a machine is: the document on disk, the namespace, its links, the engine.  Each step is
a difference to what is there, so the same attempt creates, changes, repairs and takes over after a
restart of the agent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec

from statera.agent.announce import Announcement
from statera.agent.convergence import Convergence, Next, Pace
from statera.agent.disk import AmphoraRecord, Disk, newer
from statera.agent.engine import Engine, EngineState, MakeEngine
from statera.agent.host import Host
from statera.agent.names import Names
from statera.agent.outcome import failure_of, refuse_later
from statera.agent.worker import Worker
from statera.spec.document import AmphoraSpec
from statera.spec.report import AmphoraReport, Counters, Fault

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Surroundings:
    """What all amphorae and networks of an agent share."""

    names: Names
    host: Host
    disk: Disk
    make_engine: MakeEngine
    pace: Pace
    patience: float
    """Seconds that one attempt may take."""
    slots: asyncio.Semaphore
    """How many attempts run at once."""
    changed: Callable[[str], None]
    """Told the id of what has something new to report."""


class Amphora:
    """One amphora of this machine, until it is retired."""

    def __init__(self, around: Surroundings, record: AmphoraRecord) -> None:
        self.id = record.id
        self._around = around
        self._wanted = record
        self._kept: AmphoraRecord | None = None
        self._in_force: AmphoraSpec | None = None
        self._faults: tuple[Fault, ...] = ()
        self._state: EngineState | None = None
        self._known = False
        self._begun = False
        self._settled = False
        self._host = around.host
        self._inode: int | None = None
        self._ports: frozenset[str] = frozenset()
        self._engine: Engine | None = None
        self._announcing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._news = False
        self._worker = Worker()
        self._convergence = Convergence(self._attempt, around.pace)

    @property
    def kept(self) -> AmphoraRecord | None:
        """What is on disk; None before the first was written."""
        return self._kept

    def restored(self) -> None:
        """Say that the record came from disk."""
        self._kept = self._wanted

    def obey(self, record: AmphoraRecord) -> None:
        """Take a newer record; an older one only makes the amphora report once more."""
        if newer(record, self._wanted):
            self._wanted = record
            self._convergence.wake()
        else:
            self._around.changed(self.id)

    def network_ready(self, network_id: str, *, new: bool) -> None:
        """Look again if a network was waited for, or is a new bridge without our ports."""
        spec = self._wanted.spec
        concerned = spec is not None and any(
            interface.network_id == network_id for interface in spec.interfaces
        )
        if concerned and self._begun and (new or not self._settled):
            self._convergence.wake()

    def look_around(self, links: Collection[str]) -> None:
        """Look again if the namespace or a link (`links`: all there are) went away unasked."""
        whole = self._inode == self._host.inode(self.id) and self._ports.issubset(links)
        if self._settled and self._engine is not None and not whole:
            LOG.warning("amphora.torn amphora=%s", self.id)
            self._convergence.wake()

    async def run(self) -> AmphoraRecord:
        """Converge until it is retired, and return the record that says so."""
        await self._convergence.run()
        return self._wanted

    async def leave(self) -> None:
        """Let go of the engine; it serves on."""
        for task in (self._announcing, self._looking):
            if task is not None:
                task.cancel()
        if self._engine is not None:
            await self._engine.detach()

    def report(self) -> AmphoraReport | None:
        """Return what is true; None as long as it was not looked at."""
        if not self._known:
            return None
        spec, state = self._in_force, self._state
        return AmphoraReport(
            amphora_id=self.id,
            epoch=spec.epoch if spec else 0,
            revision=spec.revision if spec else 0,
            generation=spec.generation if spec else 0,
            serving=state is not None and state.serving,
            faults=self._faults,
            listeners=state.listeners if state else (),
            pools=state.pools if state else (),
        )

    async def observe(self) -> None:
        """Look at the engine, and report what is new; counters alone are no news."""
        if self._engine is None or self._in_force is None:
            return
        before = self._state
        try:
            self._state = await self._engine.observe()
        except Exception as error:
            failure_of(error, LOG, "amphora.unobserved", self.id)
            return
        if _gist(before) != _gist(self._state):
            self._around.changed(self.id)

    async def _attempt(self) -> Next:
        record = self._wanted
        async with self._around.slots:
            self._begun = True
            self._settled = False
            try:
                async with asyncio.timeout(self._around.patience):
                    await self._keep(record)
                    faults = await self._make_true(record)
                again = any(not fault.final for fault in faults)
            except Exception as error:
                failure = failure_of(error, LOG, "amphora.failed", self.id)
                faults = (_fault(record, failure.text, final=failure.final),)
                again = not failure.final
        if record.spec is None and not faults:
            return Next.END
        self._faults = faults
        self._known = True
        self._settled = not again
        await self.observe()
        self._around.changed(self.id)
        return Next.RETRY if again else Next.REST

    async def _keep(self, record: AmphoraRecord) -> None:
        if record is not self._kept:
            await self._worker.run(self._around.disk.keep, record)
            self._kept = record

    async def _make_true(self, record: AmphoraRecord) -> tuple[Fault, ...]:
        if record.spec is None:
            await self._retire()
            return ()
        refuse_later(record.spec.version)
        return await self._apply(record.spec)

    async def _apply(self, spec: AmphoraSpec) -> tuple[Fault, ...]:
        began = time.monotonic()
        there = self._host.inode(self.id)
        if there is None or self._inode not in {None, there}:
            await self._begin_anew()
        await self._worker.run(self._host.prepare, self.id)
        self._inode = self._host.inode(self.id)
        news = await self._worker.run(self._host.plug, spec)
        self._ports = frozenset(self._around.names.port(each.port_id) for each in spec.interfaces)
        if news:
            self._announce(news)
        engine = await self._adopted()
        faults = await engine.apply(spec)
        if self._in_force != spec:
            LOG.info(
                "amphora.applied amphora=%s revision=%d generation=%d faults=%d took=%.3f",
                self.id,
                spec.revision,
                spec.generation,
                len(faults),
                time.monotonic() - began,
            )
            self._in_force = spec
            await self._worker.run(self._around.disk.note_in_force, spec)
        return faults

    async def _begin_anew(self) -> None:
        """Forget what ran in a namespace that is gone; what still runs there serves nobody."""
        if self._engine is not None:
            await self._engine.stop()
        self._engine = self._in_force = self._state = None
        await self._worker.run(self._around.disk.forget_in_force, self.id)

    async def _adopted(self) -> Engine:
        """Return the engine, having taken over what runs in the namespace."""
        if self._engine is None:
            directory = self._around.disk.engine_directory(self.id)
            self._in_force = await self._worker.run(self._around.disk.in_force, self.id)
            engine = self._around.make_engine(self.id, directory, self._host.space(self.id))
            engine.on_change = self._look_soon
            try:
                await engine.adopt(self._in_force)
            except BaseException:
                # Half an engine would bring its process back for ever, beside the next one.
                await engine.detach()
                raise
            self._engine = engine
        return self._engine

    async def _retire(self) -> None:
        if self._announcing is not None:
            self._announcing.cancel()
        if self._engine is not None:
            await self._engine.stop()
        self._engine = self._in_force = self._state = None
        await self._worker.run(self._remove)

    def _remove(self) -> None:
        if self._host.remove(self.id, self._around.disk.engine_directory(self.id)):
            LOG.info("amphora.removed amphora=%s", self.id)
        self._around.disk.forget_engine(self.id)

    def _look_soon(self) -> None:
        """Observe at once; any number of calls while it looks are one more look."""
        self._news = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._news:
            self._news = False
            await self.observe()

    def _announce(self, news: list[Announcement]) -> None:
        if self._announcing is not None:
            self._announcing.cancel()
        self._announcing = asyncio.create_task(self._host.announce(self.id, news))


def _fault(record: AmphoraRecord, text: str, *, final: bool) -> Fault:
    spec = record.spec
    if spec is None:
        return Fault(object_type="amphora", object_id=record.id, text=text, final=final)
    return Fault(
        object_type="loadbalancer", object_id=spec.load_balancer_id, text=text, final=final
    )


def _gist(state: EngineState | None) -> object:
    """Return what of a state is worth a report at once."""
    if state is None:
        return None
    none = Counters(epoch=0)
    listeners = [msgspec.structs.replace(each, counters=none) for each in state.listeners]
    return state.serving, listeners, state.pools
