"""The HAProxy of one amphora: makes documents true and says what is true.

`apply` picks the least disturbing way (nothing, runtime API, seamless reload).  A configuration
that HAProxy refuses never replaces a working one: the refused object is found, replaced as
`agent.haproxy.refusal` says, and only it carries a fault.  What HAProxy accepted is the document
that the next change is measured against.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from statera.agent.haproxy import limits, refusal
from statera.agent.haproxy.disk import Disk
from statera.agent.haproxy.drain import Drain
from statera.agent.haproxy.process import STATS_ADDRESS, Refused
from statera.agent.haproxy.processes import Processes
from statera.agent.haproxy.runtime import RuntimeGone, RuntimeRefused, Session, orders
from statera.agent.haproxy.settings import HaproxySettings
from statera.agent.haproxy.states import state_file
from statera.agent.haproxy.statistics import Traffic, pool_reports
from statera.agent.haproxy.verdicts import Verdicts
from statera.agent.space import Space
from statera.lb.errors import Retryable, StateraError
from statera.render.change import AddMember, Kind, Operation, RemoveMember, change
from statera.render.haproxy import Rendered, render
from statera.render.options import Options
from statera.render.routes import routes
from statera.render.writer import Owner, Unrenderable
from statera.spec.document import AmphoraSpec
from statera.spec.report import Counters, Fault, ListenerReport, PoolReport

LOG = logging.getLogger(__name__)

_CALM = 60.0
"""Seconds of service after which a death is the first one again."""
_FIRST_PAUSE = 0.1
_KEPT_WHOLE = "HAProxy refused the configuration: "


@dataclasses.dataclass(frozen=True)
class EngineState:
    """What is true now: `serving` says that the process is up."""

    serving: bool
    listeners: tuple[ListenerReport, ...] = ()
    pools: tuple[PoolReport, ...] = ()


class _Refusal(Exception):
    """These objects were refused; {} if none can be named."""

    def __init__(self, culprits: dict[Owner, str], text: str) -> None:
        super().__init__(text)
        self.culprits = culprits
        self.text = text


class Engine:
    """HAProxy of one amphora; `directory` is its own, `space` holds the VIPs already.

    `on_change` is called on the event loop when something worth a report may have happened: a
    member's status turned, the process died or came back.
    """

    def __init__(
        self, amphora_id: str, directory: Path, space: Space, settings: HaproxySettings
    ) -> None:
        self.amphora_id = amphora_id
        self.on_change: Callable[[], None] = lambda: None
        self._settings = settings
        self._disk = Disk(directory)
        self._processes = Processes(self._disk, space, settings)
        self._processes.died = self._died
        self._processes.heard = self._heard
        self._verdicts = Verdicts(space, self._processes, self._changed)
        self._drain = Drain(settings.hard_stop_after, self._processes)
        self._lock = asyncio.Lock()
        self._unkept = False
        self._wished: AmphoraSpec | None = None
        self._faults: tuple[Fault, ...] = ()
        self._restarting: asyncio.Task[None] | None = None
        self._served_at = 0.0
        self._pause = 0.0

    @property
    def draining(self) -> frozenset[tuple[str, str]]:
        """Return the removed members, as (backend, member), that still serve connections."""
        return self._drain.servers()

    @property
    def _accepted(self) -> AmphoraSpec | None:
        return self._processes.document

    async def apply(self, spec: AmphoraSpec) -> tuple[Fault, ...]:
        """Make `spec` true; return the objects that are not in force as wished, and why.

        Raise `Retryable` if HAProxy could not be run at all, or refuses and names no object of the
        document; what was in force still is.
        """
        return await asyncio.shield(asyncio.ensure_future(self._apply(spec)))

    async def observe(self) -> EngineState:
        """Return what is true now."""
        readings = await self._processes.look()
        spec = self._accepted
        if spec is None or self._processes.current is None:
            return EngineState(serving=False)
        plan = routes(spec)
        listeners = tuple(
            self._listener(listener.id, self._processes.total(listener.id, readings))
            for listener in plan.listeners
        )
        pools = pool_reports(plan, self._processes.reading, self._verdicts.known)
        return EngineState(serving=True, listeners=listeners, pools=pools)

    async def adopt(self, spec_in_force: AmphoraSpec | None = None) -> None:
        """Go on where an earlier agent process stopped: a process that still runs is kept.

        If none does, what was in force is started again, until it serves.  `spec_in_force` counts
        only if the engine's own note of it is lost.
        """
        async with self._lock:
            try:
                await self._adopt(spec_in_force)
            except BaseException:
                # Another engine will try: this one must not bring anything back by itself.
                await self._quiet()
                await self._processes.release()
                raise

    async def detach(self) -> None:
        """Let go without touching HAProxy: traffic goes on, another engine may adopt it."""
        async with self._lock:
            await self._quiet()
            await self._processes.release()

    async def stop(self) -> None:
        """End HAProxy and its connections."""
        async with self._lock:
            await self._quiet()
            await self._processes.end()
            self._processes.document = None
            self._wished = None

    async def _adopt(self, spec_in_force: AmphoraSpec | None) -> None:
        await asyncio.to_thread(self._disk.prepare)
        page = await asyncio.to_thread(self._disk.page)
        self._processes.document = (page and page.document) or spec_in_force
        serving = await self._processes.adopt(page)
        LOG.info("engine.adopted amphora=%s serving=%s", self.amphora_id, serving)
        if self._accepted is None:
            return
        if serving:
            self._verdicts.recall(self._accepted)
            await self._verdicts.follow(self._accepted)
            return
        try:
            await self._resume()
        except (StateraError, OSError) as error:
            LOG.error("engine.start_failed amphora=%s text=%s", self.amphora_id, error)
            self._died()

    # --- bringing a document into force -------------------------------------------------------

    async def _apply(self, spec: AmphoraSpec) -> tuple[Fault, ...]:
        async with self._lock:
            await asyncio.to_thread(self._disk.prepare)
            if self._processes.current is not None and _same(spec, self._wished):
                return self._faults
            faults = await self._settle(spec)
            self._faults = tuple(
                Fault(object_type=owner.object_type, object_id=owner.object_id, text=text)
                for owner, text in faults.items()
            )
            self._wished = spec
            # By the wish: a listener that was refused today goes on counting when it is mended.
            self._processes.forget({listener.id for listener in spec.listeners})
            return self._faults

    async def _settle(self, spec: AmphoraSpec) -> dict[Owner, str]:
        """Bring `spec` into force, or what of it is accepted; return what was refused."""
        faults: dict[Owner, str] = {}
        candidate = spec
        while True:
            try:
                await self._bring(candidate)
            except _Refusal as refused:
                reduced = candidate
                for owner, text in refused.culprits.items():
                    again = owner in faults
                    faults.setdefault(owner, text)
                    reduced = refusal.without(reduced, owner, self._accepted, last=again)
                if reduced == candidate:
                    if self._processes.current is None:
                        await self._resume()
                    raise Retryable(_KEPT_WHOLE + refused.text) from refused
                candidate = reduced
                continue
            for owner, text in faults.items():
                LOG.warning(
                    "engine.refused amphora=%s %s=%s text=%s", self.amphora_id, *owner, text
                )
            return faults

    async def _bring(self, candidate: AmphoraSpec) -> None:
        """Bring `candidate` into force as it is; raise `_Refusal`, with nothing changed."""
        try:
            rendered = self._render(candidate)
            what = change(self._accepted, candidate)
        except Unrenderable as error:
            raise _Refusal({error.owner: str(error)}, str(error)) from error
        kind = what.kind
        if (
            self._processes.current is None
            or self._processes.adrift
            or self._returns(what.operations)
        ):
            kind = Kind.RELOAD
        if kind is Kind.RUNTIME:
            # Until all is done the process follows neither document, and a crash must not hide it.
            self._processes.adrift = True
            await self._processes.note()
            try:
                await self._operate(what.operations)
                self._processes.adrift = False
            except (RuntimeGone, RuntimeRefused) as error:
                LOG.warning("engine.runtime_failed amphora=%s text=%s", self.amphora_id, error)
                kind = Kind.RELOAD
        if kind is Kind.RELOAD:
            await self._reload(candidate, rendered)
        self._processes.document = candidate
        await self._verdicts.follow(candidate)
        if kind is Kind.RUNTIME or self._unkept:
            await self._keep(rendered.text)
        if kind is not Kind.NOTHING:
            LOG.info("engine.changed amphora=%s by=%s", self.amphora_id, kind.value)

    def _returns(self, operations: tuple[Operation, ...]) -> bool:
        """Say whether a member is to be added that is still on its way out."""
        return any(
            isinstance(one, AddMember) and (one.backend, one.member_id) in self.draining
            for one in operations
        )

    async def _operate(self, operations: tuple[Operation, ...]) -> None:
        process = self._processes.current
        if process is None:
            raise RuntimeGone("HAProxy is not running")
        session = await Session.open(process.socket)
        try:
            for operation in operations:
                for text in orders(operation):
                    await session.order(text)
                if isinstance(operation, RemoveMember):
                    self._drain.add(operation.backend, operation.member_id)
        finally:
            session.close()

    async def _reload(self, candidate: AmphoraSpec, rendered: Rendered) -> None:
        """Start a process for `candidate`, and tell its predecessor to leave."""
        await self._processes.look_at_current()
        plan = routes(candidate)
        states = state_file(plan, self._processes.reading, self._verdicts.known)
        try:
            predecessor = await self._processes.replace(
                rendered.text, states, tables="\npeers " in rendered.text
            )
        except Refused as error:
            found = refusal.alerts(error.messages)
            text = refusal.words(found[0]) if found else "no reason given"
            raise _Refusal(refusal.blame(error.messages, rendered.owners), text) from error
        self._processes.document = candidate
        self._processes.adrift = False
        self._served_at = asyncio.get_running_loop().time()
        try:
            await self._drain.clear()
            # The disk knows the new process before the old one leaves, so no crash loses track.
            await self._keep(rendered.text)
        finally:
            # A full disk must not leave two forms of the load balancer in service.
            if predecessor is not None:
                await self._processes.dismiss(predecessor)

    async def _keep(self, text: str) -> None:
        self._unkept = True
        await self._processes.note(text)
        self._unkept = False

    def _render(self, spec: AmphoraSpec) -> Rendered:
        settings = self._settings
        options = Options(
            stats_socket=STATS_ADDRESS,
            state_file=str(self._disk.states),
            chroot=str(self._disk.chroot),
            user=settings.user,
            group=settings.group,
            max_connections=limits.connections(limits.descriptors(), spec),
            connection_limit=settings.connection_limit,
            threads=limits.threads(settings.threads),
            hard_stop_after=settings.hard_stop_after,
        )
        return render(spec, options)

    # --- keeping it running -------------------------------------------------------------------

    async def _resume(self) -> None:
        """Start what was accepted last; raise `Retryable` if that fails."""
        spec = self._accepted
        if spec is None:
            return
        try:
            await self._reload(spec, self._render(spec))
        except (_Refusal, Unrenderable) as error:
            raise Retryable(f"HAProxy refuses what it had accepted: {error}") from error
        await self._verdicts.follow(spec)

    def _died(self) -> None:
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        """Start HAProxy again until it runs: at once, then with growing pauses."""
        self.on_change()
        loop = asyncio.get_running_loop()
        if loop.time() - self._served_at > _CALM:
            self._pause = 0.0
        while True:
            await asyncio.sleep(self._pause)
            ceiling = self._settings.restart_ceiling
            self._pause = min(max(self._pause * 2, _FIRST_PAUSE), ceiling)
            async with self._lock:
                if self._processes.current is not None:
                    return
                try:
                    await self._resume()
                except (StateraError, OSError) as error:
                    LOG.error("engine.restart_failed amphora=%s text=%s", self.amphora_id, error)
                    continue
            LOG.warning("engine.restarted amphora=%s", self.amphora_id)
            self.on_change()
            return

    def _heard(self, text: str) -> None:
        if "Server " in text:
            self._changed()

    def _changed(self) -> None:
        self.on_change()

    async def _quiet(self) -> None:
        """Stop everything that acts by itself."""
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        await self._drain.clear()
        await self._verdicts.stop()

    def _listener(self, listener_id: str, traffic: Traffic) -> ListenerReport:
        return ListenerReport(
            id=listener_id,
            status="FULL" if 0 < traffic.limit <= traffic.active else "OPEN",
            counters=Counters(
                epoch=self._processes.epoch,
                bytes_in=traffic.bytes_in,
                bytes_out=traffic.bytes_out,
                total_connections=traffic.total,
                request_errors=traffic.errors,
                active_connections=traffic.active,
            ),
        )


def _same(spec: AmphoraSpec, other: AmphoraSpec | None) -> bool:
    """Say whether two documents wish the same; their numbers do not matter."""
    if other is None:
        return False
    numbers = {"epoch": other.epoch, "revision": other.revision, "generation": other.generation}
    return msgspec.structs.replace(spec, **numbers) == other
