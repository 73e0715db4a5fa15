"""What becomes of the reports of one agent.

Only amphorae placed on its machine count.  What is in force is written first, because users wait
for it; then operating statuses, both on change only.  Counters are gathered, and written now and
then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
from sqlalchemy.engine import Connection

from statera.gateway.threads import Threads
from statera.service.wake import WORK, Wakes
from statera.spec.report import AmphoraReport, Counters, NetworkReport
from statera.spec.wire import Report
from statera.store import counters, observations, refusals
from statera.store.documents import networks_of
from statera.store.holdings import elsewhere

LOG = logging.getLogger(__name__)

RECHECK = 60.0
"""Seconds after which a report counts as news although it says nothing new: what it is held
against may have changed."""

MOMENT = 0.05
"""Seconds between a report and the operating statuses that follow from it."""

MOST = 2**60
"""No number in a report is larger; an integer of every database holds several times that."""
LONGEST_ID = 36
Refuse = Callable[[str, str, list[str]], None]
"""Notes that a machine spoke of ids of a kind that are not its own."""
LONGEST_TEXT = 1000

_NOTHING = Counters(epoch=0)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A report that was worked through, without its counters, and when (monotonic seconds)."""

    report: AmphoraReport
    at: float


class Reports:
    """Works through the reports of one stream, one after the other."""

    def __init__(self, machine_id: str, threads: Threads, wakes: Wakes, refuse: Refuse) -> None:
        self._machine_id = machine_id
        self._refuse = refuse
        self._threads = threads
        self._wakes = wakes
        self._seen: dict[str, _Seen] = {}
        self._owners: dict[str, str] = {}
        self._counters: dict[str, dict[counters.Key, Counters]] = {}
        self._unjudged: dict[str, tuple[str, AmphoraReport]] = {}
        self._networks: dict[str, NetworkReport] = {}
        self._judging = asyncio.Event()

    async def take(self, report: Report) -> None:
        """Work through one message.  What is absurd is dropped, and disturbs nothing else."""
        amphorae = [_readable(each) for each in report.amphorae if _is_plausible(each)]
        owners = await self._know({each.amphora_id for each in amphorae})
        ours = [each for each in amphorae if each.amphora_id in owners]
        if len(ours) < len(amphorae):
            strange = [each for each in amphorae if each.amphora_id not in owners]
            await self._drop({each.amphora_id: each.retired for each in strange})
        news = [each for each in ours if self._is_news(each)]
        if news:
            await self._observe(news, owners)
        for each in ours:
            self._gather(each, owners[each.amphora_id])
        for each in news:
            self._seen[each.amphora_id] = _Seen(_bare(each), time.monotonic())
            self._unjudged[each.amphora_id] = (owners[each.amphora_id], each)
        if news:
            self._judging.set()
        networks = [each for each in report.networks if _is_sane(each)]
        await self._observe_networks(networks)
        absurd = len(report.amphorae) - len(amphorae) + len(report.networks) - len(networks)
        if absurd:
            LOG.warning("report.absurd machine=%s count=%d", self._machine_id, absurd)

    async def judge(self) -> None:
        """Write operating statuses, until cancelled.

        A moment after the report, so that they do not compete with what a user waits for.
        """
        while True:
            await self._judging.wait()
            await asyncio.sleep(MOMENT)
            self._judging.clear()
            while self._unjudged:
                _, (owner, report) = self._unjudged.popitem()
                await self._judge(owner, report)

    async def flush(self) -> None:
        """Write the counters gathered so far; what cannot be written is gathered on."""
        self._forget()
        gathered, self._counters = self._counters, {}
        for owner, seen in gathered.items():
            try:
                await self._threads.write(partial(_flush, owner, seen))
            except Exception as error:
                LOG.warning("counters.unwritten load_balancer=%s error=%s", owner, error)
                self._counters[owner] = {**seen, **self._counters.get(owner, {})}

    async def _know(self, ids: set[str]) -> dict[str, str]:
        """Return amphora id -> load balancer id of those that are placed on the machine."""
        unknown = ids - self._owners.keys()
        if unknown:
            found = await self._threads.read(
                lambda c: observations.placed(c, self._machine_id, unknown)
            )
            self._owners.update(found)
        return {each: self._owners[each] for each in ids if each in self._owners}

    def _forget(self) -> None:
        """Forget what would count as news anyway: amphorae that are gone are heard of no more."""
        old = time.monotonic() - RECHECK
        self._seen = {key: seen for key, seen in self._seen.items() if seen.at > old}
        self._owners = {key: each for key, each in self._owners.items() if key in self._seen}

    async def _drop(self, strange: dict[str, bool], kind: str = refusals.AMPHORA) -> None:
        """Refuse to hear of what is not here: it is another machine's, or nobody's.

        `strange` says of each id whether nothing is left of it: that is long purged here.
        """
        ids = list(strange)
        foreign = await self._threads.read(lambda c: elsewhere(c, self._machine_id, ids))
        self._refuse(self._machine_id, kind, [each for each in ids if each in foreign])
        unknown = [each for each in ids if each not in foreign and not strange[each]]
        self._refuse(self._machine_id, refusals.UNKNOWN, unknown)

    def _is_news(self, report: AmphoraReport) -> bool:
        seen = self._seen.get(report.amphora_id)
        if seen is None or time.monotonic() - seen.at > RECHECK:
            return True
        return seen.report != _bare(report)

    async def _observe(self, news: list[AmphoraReport], owners: Mapping[str, str]) -> None:
        def work(connection: Connection) -> bool:
            changed = [
                observations.observe(connection, owners[each.amphora_id], each)
                for each in sorted(news, key=lambda each: owners[each.amphora_id])
            ]
            return any(changed)

        if await self._threads.write(work):
            self._wakes.send(WORK)

    async def _judge(self, owner: str, report: AmphoraReport) -> None:
        """Write the operating statuses that change."""
        changed = await self._threads.read(lambda c: observations.read_changes(c, owner, report))
        if changed:
            await self._threads.write(lambda c: observations.write_changes(c, owner, changed))
            LOG.info("status.changed load_balancer=%s statuses=%s", owner, _brief(changed))

    async def _observe_networks(self, reports: list[NetworkReport]) -> None:
        news = [each for each in reports if self._networks.get(each.network_id) != each]
        if not news:
            return
        ids = [each.network_id for each in news]
        known = await self._threads.read(lambda c: networks_of(c, self._machine_id, ids))
        if len(known) < len(news):
            strange = [each for each in news if each.network_id not in known]
            await self._drop({e.network_id: e.retired for e in strange}, refusals.NETWORK)
        ours = [each for each in news if each.network_id in known]
        await self._threads.write(lambda c: _networks(c, self._machine_id, ours))
        self._networks.update((each.network_id, each) for each in ours)

    def _gather(self, report: AmphoraReport, owner: str) -> None:
        gathered = self._counters.setdefault(owner, {})
        for each in report.listeners:
            gathered[each.id, report.amphora_id] = each.counters


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


def _is_plausible(report: AmphoraReport) -> bool:
    """Say whether the id and every number of a report can be stored at all."""
    numbers = [report.epoch, report.revision, report.generation]
    for each in report.listeners:
        numbers += msgspec.structs.astuple(each.counters)
    return is_id(report.amphora_id) and all(0 <= each <= MOST for each in numbers)


def _is_sane(report: NetworkReport) -> bool:
    numbers = (report.epoch, report.revision)
    return is_id(report.network_id) and all(0 <= each <= MOST for each in numbers)


def is_id(text: str) -> bool:
    """Say whether a text can be the id of anything."""
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()


def _readable(report: AmphoraReport) -> AmphoraReport:
    """Return a report whose faults can be stored and shown."""
    if not report.faults:
        return report
    faults = (msgspec.structs.replace(each, text=_text(each.text)) for each in report.faults)
    return msgspec.structs.replace(report, faults=tuple(faults))


def _text(text: str) -> str:
    return text[:LONGEST_TEXT].replace("\0", " ")


def _bare(report: AmphoraReport) -> AmphoraReport:
    """Return a report without its counters, which change all the time."""
    listeners = tuple(msgspec.structs.replace(each, counters=_NOTHING) for each in report.listeners)
    return msgspec.structs.replace(report, listeners=listeners)


def _brief(statuses: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(statuses.items())[:20])
