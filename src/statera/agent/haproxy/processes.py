"""The processes of one amphora: the one in force, those on their way out, and what they counted.

A reload starts the successor beside the process in force; only when it serves is the old one told
to leave.  So a configuration that is refused, and even a crash in between, changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import signal
from collections.abc import Callable, Coroutine

import msgspec

from statera.agent.haproxy import runtime
from statera.agent.haproxy.disk import Disk
from statera.agent.haproxy.ledger import Leaving, Ledger, Page
from statera.agent.haproxy.process import (
    Launch,
    Process,
    Record,
    Refused,
    running,
    socket_path,
    start,
)
from statera.agent.haproxy.settings import HaproxySettings
from statera.agent.haproxy.statistics import Reading, Traffic, read
from statera.agent.space import Space
from statera.lb.errors import Retryable
from statera.spec.document import AmphoraSpec

LOG = logging.getLogger(__name__)

_NO_SOCKETS = "Failed to get the sockets from the old process"
_LOOK = 2.0
"""Seconds between questions whether the process in force still answers."""
_GRACE = 10.0
"""Seconds after which a process that should have ended by itself is ended."""
_TRIES, _PAUSE = 200, 0.05


class Processes:
    """Owner of every HAProxy process of one amphora.

    `died` is called when the process in force ends by itself; `heard` when any process says
    something (a member's status turned, for instance).
    """

    def __init__(self, disk: Disk, space: Space, settings: HaproxySettings) -> None:
        self.current: Process | None = None
        self.document: AmphoraSpec | None = None
        """What the process in force follows, or the last one did; the caller sets it."""
        self.adrift = False
        """It may follow something between `document` and another one."""
        self.reading = Reading()
        self.died: Callable[[], None] = lambda: None
        self.heard: Callable[[str], None] = lambda _text: None
        self._disk = disk
        self._space = space
        self._settings = settings
        self._serial = 0
        self._ledger = Ledger.new()
        self._leaving: list[Leaving] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()

    @property
    def epoch(self) -> int:
        """Return the epoch of the counters."""
        return self._ledger.epoch

    async def note(self, text: str | None = None) -> None:
        """Keep on disk what finds everything again, and the configuration `text` if it is new."""
        async with self._writing:
            page = self._ledger.page(self.document, self.current, self._leaving)
            page = msgspec.structs.replace(page, adrift=self.adrift)
            await asyncio.to_thread(self._disk.keep, page, text)

    async def replace(self, text: str, states: str, *, tables: bool) -> Leaving | None:
        """Start a process with this configuration; it is in force when this returns.

        Return its predecessor, which must be dismissed when the disk knows the new one.  Raise
        `Refused` or `StartFailed`, with nothing changed.
        """
        await asyncio.to_thread(self._disk.attempt, text, states)
        self._serial += 1
        previous = self.current
        launch = Launch(
            binary=self._settings.binary,
            directory=self._disk.directory,
            serial=self._serial,
            config=self._disk.trial,
            space=self._space,
            timeout=self._settings.start_timeout,
            previous=previous,
            tables=tables,
        )
        try:
            process = await start(launch)
        except Refused as refused:
            # A process without a single listener has no socket to hand over: an error in 2.6.  Nor
            # has one that hangs, but that would keep a share of all connections to itself.
            if previous is None or _NO_SOCKETS not in refused.messages:
                raise
            await self._end_if_hung(previous)
            process = await start(dataclasses.replace(launch, previous=None))
        leaving = None
        if previous is not None and previous.alive:
            leaving = await Leaving.open(previous, self.reading)
        if previous is not None and previous is self.current and not previous.alive:
            self._bury(previous)
        if leaving is not None and previous is not self.current:
            # It died meanwhile, and its counts are in the ledger.
            leaving.close()
            leaving = None
        if leaving is not None:
            self._leaving.append(leaving)
        self._enthrone(process)
        return leaving

    async def dismiss(self, leaving: Leaving) -> None:
        """Tell a predecessor to go, and see it out; return when it accepts nothing new."""
        await leaving.dismiss()
        self._spawn(self._see_out(leaving))
        for oldest in self._leaving[: -self._settings.leaving_limit]:
            oldest.process.send(signal.SIGTERM)

    async def look(self) -> list[Reading]:
        """Return the counters of all processes; the last ones of a process that does not answer."""
        await self.look_at_current()
        leaving = list(self._leaving)
        for one in leaving:
            await one.look()
        return [self.reading, *(one.reading for one in self._leaving)]

    async def look_at_current(self) -> None:
        """Read the process in force."""
        if self.current is not None:
            with contextlib.suppress(runtime.RuntimeGone):
                self.reading = read(await runtime.command(self.current.socket, "show stat"))

    def total(self, name: str, readings: list[Reading]) -> Traffic:
        """Return the traffic of one listener since the epoch began."""
        return self._ledger.total(name, readings)

    def forget(self, names: set[str]) -> None:
        """Keep only the counters of these listeners."""
        self._ledger.forget(names)

    async def adopt(self, page: Page | None) -> bool:
        """Take over what an earlier agent left running; say whether that serves.

        Processes in the directory that the page does not know were started just before the earlier
        agent died: nobody relies on them yet, so they are told to go.
        """
        known: set[int] = set()
        if page is not None:
            known = await self._adopt_known(page)
        serials = await asyncio.to_thread(self._disk.serials)
        self._serial = max(self._serial, *serials, 0)
        for serial in sorted(serials - known):
            record = await self._find(serial)
            if record is None or not await self._dismiss_stray(record):
                self._disk.forget(serial)
        return self.current is not None

    async def _adopt_known(self, page: Page) -> set[int]:
        """Take over the processes of `page`; return the numbers of those that run."""
        current = page.current and Process.adopt(page.current, self._disk.directory)
        if current and not await current.answers(self._settings.hang_patience):
            LOG.error("haproxy.hung pid=%d", current.record.pid)
            await current.kill()
            current.remove()
            current = None
        if not current:
            # What it counted since the last report is lost.
            self._ledger = Ledger.new(page.epoch)
        else:
            self._ledger = Ledger.of(page)
            self._enthrone(current)
            self.adrift = page.adrift
            await self.look_at_current()
        if current and page.leaving:
            # What these counted since the page was written nobody can ask for any more.
            self._ledger = Ledger.since(page, self.reading)
        known = {current.record.serial} if current else set()
        for record in page.leaving:
            process = Process.adopt(record, self._disk.directory)
            if process is not None:
                known.add(record.serial)
                leaving = Leaving(process, None, Reading())
                self._leaving.append(leaving)
                await self.dismiss(leaving)
        return known

    async def _find(self, serial: int) -> Record | None:
        """Return a process that nobody noted, None if it has ended.

        Found by what it was started with, because one that hangs does not answer.  The agent may
        have died when its child was not yet HAProxy: that holds the socket already.
        """
        for _ in range(_TRIES):
            for record in await asyncio.to_thread(running, self._disk.trial):
                if record.serial == serial:
                    return record
            if not await runtime.held(socket_path(self._disk.directory, serial)):
                return None
            await asyncio.sleep(_PAUSE)
        raise Retryable(f"process {serial} of {self._disk.directory.name} cannot be found")

    async def _dismiss_stray(self, record: Record) -> bool:
        """Tell a process that nobody relies on to go; say whether it still ran."""
        process = Process.adopt(record, self._disk.directory)
        if process is None:
            return False
        LOG.info("haproxy.stray pid=%d", record.pid)
        leaving = await Leaving.open(process, Reading())
        if not leaving.reachable:
            process.send(signal.SIGKILL)
        self._leaving.append(leaving)
        await self.dismiss(leaving)
        return True

    async def end(self) -> None:
        """End all processes."""
        await self._cancel()
        processes = [leaving.process for leaving in self._leaving]
        for leaving in self._leaving:
            leaving.close()
        if self.current is not None:
            processes.append(self.current)
        self.current = None
        self._leaving.clear()
        await asyncio.gather(*(process.end() for process in processes))

    async def release(self) -> None:
        """Let go of all processes without touching them."""
        await self._cancel()
        for leaving in self._leaving:
            leaving.close()
            leaving.process.release()
        if self.current is not None:
            self.current.release()
        self.current = None
        self._leaving.clear()

    def _enthrone(self, process: Process) -> None:
        self.current = process
        self.reading = Reading()
        self._serial = max(self._serial, process.record.serial)
        process.messages.listen(self.heard)
        self._spawn(self._watch(process))

    async def _watch(self, process: Process) -> None:
        """Wait for the end of `process`, and bring it about if it hangs while it is in force."""
        ended = asyncio.ensure_future(process.ended())
        try:
            while process is self.current and process.alive:
                await asyncio.wait({ended}, timeout=_LOOK)
                if process is self.current:
                    await self._end_if_hung(process)
            await ended
        finally:
            ended.cancel()
        if process is self.current:
            self._bury(process)
            self.died()

    async def _end_if_hung(self, process: Process) -> None:
        """End a process that lives but does nothing: its clients would wait for ever."""
        if process.alive and not await process.answers(self._settings.hang_patience):
            LOG.error("haproxy.hung pid=%d", process.record.pid)
            process.send(signal.SIGKILL)
            await process.ended()

    def _bury(self, process: Process) -> None:
        """Note that the process in force died by itself."""
        LOG.warning("haproxy.died pid=%d", process.record.pid)
        self.current = None
        self._ledger.add(self.reading)
        process.remove()

    async def _see_out(self, leaving: Leaving) -> None:
        await leaving.wait(self._settings.hard_stop_after + _GRACE)
        self._leaving.remove(leaving)
        self._ledger.add(leaving.reading)
        leaving.process.remove()
        LOG.info("haproxy.left pid=%d", leaving.process.record.pid)
        try:
            await self.note()
        except OSError as error:
            LOG.warning("haproxy.unnoted error=%s", error)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
