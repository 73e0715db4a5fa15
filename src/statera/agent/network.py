"""One network: its bridge on this machine, made true the same way as an amphora."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from statera.agent.amphora import Surroundings
from statera.agent.convergence import Convergence, Next
from statera.agent.disk import NetworkRecord, newer
from statera.agent.outcome import failure_of, refuse_later
from statera.agent.worker import Worker
from statera.spec.report import NetworkReport

LOG = logging.getLogger(__name__)


class Network:
    """One network of this machine, until it is retired."""

    def __init__(
        self, around: Surroundings, record: NetworkRecord, ready: Callable[[str, bool], None]
    ) -> None:
        self.id = record.id
        self._ready = ready
        self._around = around
        self._wanted = record
        self._kept: NetworkRecord | None = None
        self._in_force: NetworkRecord | None = None
        self._fault: str | None = None
        self.looked = asyncio.Event()
        """Set once the first attempt was made, whatever came of it."""
        self._worker = Worker()
        self._convergence = Convergence(self._attempt, around.pace)

    @property
    def kept(self) -> NetworkRecord | None:
        """What is on disk; None before the first was written."""
        return self._kept

    def restored(self) -> None:
        """Say that the record came from disk."""
        self._kept = self._wanted

    def obey(self, record: NetworkRecord) -> None:
        """Take a newer record; an older one only makes the network report once more."""
        if newer(record, self._wanted):
            self._wanted = record
            self._convergence.wake()
        else:
            self._around.changed(self.id)

    def look_around(self, links: Collection[str]) -> None:
        """Look again if the bridge is none of `links`, which are all that there are."""
        if self._in_force is None or self._in_force is not self._wanted:
            return
        if self._around.names.bridge(self.id) not in links:
            LOG.warning("network.torn network=%s", self.id)
            self._convergence.wake()

    async def run(self) -> NetworkRecord:
        """Converge until it is retired, and return the record that says so."""
        await self._convergence.run()
        return self._wanted

    def report(self) -> NetworkReport | None:
        """Return what is true; None as long as it was not looked at."""
        if not self.looked.is_set():
            return None
        last = self._in_force
        return NetworkReport(
            network_id=self.id,
            epoch=last.epoch if last else 0,
            revision=last.revision if last else 0,
            fault=self._fault,
        )

    async def _attempt(self) -> Next:
        record = self._wanted
        outcome = Next.REST if record.spec is not None else Next.END
        async with self._around.slots:
            try:
                async with asyncio.timeout(self._around.patience):
                    if record is not self._kept:
                        await self._worker.run(self._around.disk.keep, record)
                        self._kept = record
                    new = await self._worker.run(self._make_true, record)
                if self._in_force != record:
                    LOG.info("network.applied network=%s revision=%d", self.id, record.revision)
                self._in_force, self._fault = record, None
                self._ready(self.id, new)
            except Exception as error:
                failure = failure_of(error, LOG, "network.failed", self.id)
                self._fault = failure.text
                outcome = Next.REST if failure.final else Next.RETRY
        self.looked.set()
        self._around.changed(self.id)
        return outcome

    def _make_true(self, record: NetworkRecord) -> bool:
        """Return whether there is a new bridge, to which everything must be plugged again."""
        if record.spec is None:
            self._around.host.remove_bridge(record.id)
            return False
        refuse_later(record.spec.version)
        return self._around.host.converge_bridge(record.spec)
