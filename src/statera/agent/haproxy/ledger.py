"""Counters that outlive processes.

HAProxy counts per process, and a reload starts a new one while the old one still serves.  The
ledger adds up: processes that ended, those that are leaving, and the one in force.  Its epoch grows
only when counts were lost, so what the controller sees never runs backwards within an epoch.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time

import msgspec

from statera.agent.haproxy.process import Process, Record
from statera.agent.haproxy.runtime import RuntimeGone, Session
from statera.agent.haproxy.statistics import Reading, Traffic, read
from statera.spec.document import AmphoraSpec

LOG = logging.getLogger(__name__)

_PATIENCE = 2.0
_FRONTENDS = "show stat -1 1 -1"
_LOOK = 0.25
"""Seconds between looks at a leaving process."""


class Page(msgspec.Struct, frozen=True):
    """The ledger on disk, with the processes that it speaks of.

    `document` is what the process in force was made to follow: one file, so that a crash cannot
    leave the document of one process beside the number of another.
    """

    epoch: int
    document: AmphoraSpec | None = None
    adrift: bool = False
    """The process may have followed a newer document halfway when the agent died."""
    current: Record | None = None
    leaving: tuple[Record, ...] = ()
    base: dict[str, tuple[int, int, int, int]] = {}


msgspec.json.Decoder(Page)  # as in `spec.document`: not first in a thread


def next_epoch(last: int = 0) -> int:
    """Return an epoch above `last`: milliseconds of the clock, or one more if that is behind."""
    return max(last + 1, time.time_ns() // 1_000_000)


class Leaving:
    """A process that was replaced and still serves its last connections.

    It closes its socket when it is told to leave, so a session is opened before; the process cannot
    end while it is held, which is what makes the last counts readable.
    """

    def __init__(self, process: Process, session: Session | None, reading: Reading) -> None:
        self.process = process
        self.reading = reading
        self._session = session

    @property
    def reachable(self) -> bool:
        """Say whether the process can be asked for its counters."""
        return self._session is not None

    @classmethod
    async def open(cls, process: Process, reading: Reading) -> Leaving:
        """Return the leaving of `process`, which does not know of it yet.

        `reading` is what is known of its counters.
        """
        try:
            session = await Session.open(process.socket)
        except RuntimeGone:
            session = None
        return cls(process, session, reading)

    async def dismiss(self) -> None:
        """Tell the process to finish what it serves, and go; return when it accepts nothing new.

        A listener that was closed or restricted must not be open a moment longer in the old form.
        """
        self.process.send(signal.SIGUSR1)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE
        with contextlib.suppress(RuntimeGone):
            while self._session is not None and loop.time() < deadline:
                # It says that it is stopping before it has closed anything.
                if not read(await self._session.ask(_FRONTENDS)).accepting:
                    return

    async def wait(self, patience: float) -> None:
        """Return when the process has ended; `reading` then holds its last counts.

        It is ended after `patience` seconds: one that hangs does not see to that itself.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        ended = asyncio.ensure_future(self.process.ended())
        try:
            while self._session is not None and self.process.alive and loop.time() < deadline:
                await self.look()
                await asyncio.wait({ended}, timeout=_LOOK)
            await asyncio.wait({ended}, timeout=max(deadline - loop.time(), 0))
            await self.process.kill()
        finally:
            ended.cancel()
            self.close()

    async def look(self) -> None:
        """Read the counters once; let the process go if nobody is connected to it any more."""
        session = self._session
        if session is None:
            return
        try:
            self.reading = read(await session.ask("show stat"))
        except RuntimeGone:
            self.close()
            return
        if self.reading.idle:
            self.close()

    def close(self) -> None:
        """Let the process go."""
        if self._session is not None:
            self._session.close()
            self._session = None


class Ledger:
    """Adds up the traffic of the listeners of one amphora."""

    def __init__(self, epoch: int, base: dict[str, Traffic]) -> None:
        self.epoch = epoch
        self._base = base

    @classmethod
    def new(cls, last: int = 0) -> Ledger:
        """Return an empty ledger of an epoch above `last`."""
        return cls(next_epoch(last), {})

    @classmethod
    def since(cls, page: Page, reading: Reading) -> Ledger:
        """Return the ledger of a new epoch, in which `reading` of the process in force is zero."""
        ledger = cls.new(page.epoch)
        ledger._base = {name: Traffic() - counted for name, counted in reading.frontends.items()}
        return ledger

    @classmethod
    def of(cls, page: Page) -> Ledger:
        """Return the ledger that `page` holds."""
        return cls(page.epoch, {name: Traffic(*counts) for name, counts in page.base.items()})

    def add(self, reading: Reading) -> None:
        """Keep the last counts of a process that ended."""
        for name, traffic in reading.frontends.items():
            counted = Traffic(traffic.bytes_in, traffic.bytes_out, traffic.total, traffic.errors)
            self._base[name] = self._base.get(name, Traffic()) + counted

    def total(self, name: str, readings: list[Reading]) -> Traffic:
        """Return the traffic of one listener over all processes."""
        traffic = self._base.get(name, Traffic())
        for reading in readings:
            traffic += reading.frontends.get(name, Traffic())
        return traffic

    def forget(self, names: set[str]) -> None:
        """Keep only the listeners in `names`."""
        self._base = {name: kept for name, kept in self._base.items() if name in names}

    def page(
        self, document: AmphoraSpec | None, current: Process | None, leaving: list[Leaving]
    ) -> Page:
        """Return the ledger for the disk."""
        sums = Ledger(self.epoch, dict(self._base))
        for one in leaving:
            sums.add(one.reading)
        return Page(
            epoch=self.epoch,
            document=document,
            current=current.record if current else None,
            leaving=tuple(one.process.record for one in leaving),
            base={
                name: (kept.bytes_in, kept.bytes_out, kept.total, kept.errors)
                for name, kept in sums._base.items()
            },
        )
