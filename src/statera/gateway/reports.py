"""What becomes of the reports of one agent.

Only amphorae placed on its machine count.  What is in force is written first, because users wait
for it; then operating statuses, both on change only.  Counters are gathered, and written now and
then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
from sqlalchemy.engine import Connection

from statera.gateway.threads import Threads
from statera.service.wake import WORK, Wakes
from statera.spec.report import AmphoraReport, Counters, NetworkReport
from statera.spec.wire import Report
from statera.store import counters, observations

LOG = logging.getLogger(__name__)

RECHECK = 60.0
"""Seconds after which a report counts as news although it says nothing new: what it is held
against may have changed."""

MOMENT = 0.05
"""Seconds between a report and the operating statuses that follow from it."""

_NOTHING = Counters(epoch=0)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A report that was worked through, without its counters, and when (monotonic seconds)."""

    report: AmphoraReport
    at: float


class Reports:
    """Works through the reports of one stream, one after the other."""

    def __init__(self, machine_id: str, threads: Threads, wakes: Wakes) -> None:
        self._machine_id = machine_id
        self._threads = threads
        self._wakes = wakes
        self._seen: dict[str, _Seen] = {}
        self._owners: dict[str, str] = {}
        self._counters: dict[str, dict[counters.Key, Counters]] = {}
        self._unjudged: dict[str, AmphoraReport] = {}
        self._judging = asyncio.Event()
        self.dropped = 0
        """Reports about amphorae that are not placed here."""

    async def take(self, report: Report) -> None:
        """Work through one message."""
        await self._know(each.amphora_id for each in report.amphorae)
        ours = [each for each in report.amphorae if each.amphora_id in self._owners]
        if len(ours) < len(report.amphorae):
            self._drop(report.amphorae)
        news = [each for each in ours if self._is_news(each)]
        if news:
            await self._observe(news)
        for each in ours:
            self._gather(each)
        for each in news:
            self._seen[each.amphora_id] = _Seen(_bare(each), time.monotonic())
            self._unjudged[each.amphora_id] = each
        if news:
            self._judging.set()
        if report.networks:
            await self._threads.write(lambda c: _networks(c, self._machine_id, report.networks))

    async def judge(self) -> None:
        """Write operating statuses, until cancelled.

        A moment after the report, so that they do not compete with what a user waits for.
        """
        while True:
            await self._judging.wait()
            await asyncio.sleep(MOMENT)
            self._judging.clear()
            while self._unjudged:
                _, report = self._unjudged.popitem()
                await self._judge(report)

    async def flush(self) -> None:
        """Write the counters gathered so far; what cannot be written is gathered on."""
        gathered, self._counters = self._counters, {}
        for owner, seen in gathered.items():
            try:
                await self._threads.write(partial(_flush, owner, seen))
            except Exception as error:
                LOG.warning("counters.unwritten load_balancer=%s error=%s", owner, error)
                self._counters[owner] = {**seen, **self._counters.get(owner, {})}

    async def _know(self, ids: Iterable[str]) -> None:
        unknown = [each for each in ids if each not in self._owners]
        if unknown:
            self._owners.update(
                await self._threads.read(
                    lambda c: observations.placed(c, self._machine_id, unknown)
                )
            )

    def _drop(self, reports: Iterable[AmphoraReport]) -> None:
        foreign = [each.amphora_id for each in reports if each.amphora_id not in self._owners]
        self.dropped += len(foreign)
        LOG.warning(
            "report.dropped machine=%s amphorae=%s total=%d",
            self._machine_id,
            ",".join(foreign[:10]),
            self.dropped,
        )

    def _is_news(self, report: AmphoraReport) -> bool:
        seen = self._seen.get(report.amphora_id)
        if seen is None or time.monotonic() - seen.at > RECHECK:
            return True
        return seen.report != _bare(report)

    async def _observe(self, news: list[AmphoraReport]) -> None:
        owners = self._owners

        def work(connection: Connection) -> bool:
            changed = [
                observations.observe(connection, owners[each.amphora_id], each)
                for each in sorted(news, key=lambda each: owners[each.amphora_id])
            ]
            return any(changed)

        if await self._threads.write(work):
            self._wakes.send(WORK)

    async def _judge(self, report: AmphoraReport) -> None:
        """Write the operating statuses that change."""
        owner = self._owners[report.amphora_id]

        changed = await self._threads.read(lambda c: observations.read_changes(c, owner, report))
        if changed:
            await self._threads.write(lambda c: observations.write_changes(c, owner, changed))
            LOG.info("status.changed load_balancer=%s statuses=%s", owner, _brief(changed))

    def _gather(self, report: AmphoraReport) -> None:
        owner = self._counters.setdefault(self._owners[report.amphora_id], {})
        for each in report.listeners:
            owner[each.id, report.amphora_id] = each.counters


def _networks(connection: Connection, machine_id: str, reports: Iterable[NetworkReport]) -> None:
    for each in reports:
        if observations.observe_network(connection, machine_id, each):
            LOG.info(
                "network.observed machine=%s network=%s revision=%d fault=%s",
                machine_id,
                each.network_id,
                each.revision,
                each.fault,
            )


def _flush(owner: str, seen: Mapping[counters.Key, Counters], connection: Connection) -> None:
    counters.flush(connection, owner, seen)


def _bare(report: AmphoraReport) -> AmphoraReport:
    """Return a report without its counters, which change all the time."""
    listeners = tuple(msgspec.structs.replace(each, counters=_NOTHING) for each in report.listeners)
    return msgspec.structs.replace(report, listeners=listeners)


def _brief(statuses: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(statuses.items())[:20])
