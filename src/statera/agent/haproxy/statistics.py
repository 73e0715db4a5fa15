"""What HAProxy counts and sees, as data: the replies of `show stat` and `show servers state`."""

from __future__ import annotations

import csv
import dataclasses
import io

from statera.lb.errors import Bug
from statera.render.routes import Backend, Routes
from statera.spec.document import Member, Pool
from statera.spec.report import MemberReport, PoolReport

UP, DOWN, DRAIN, MAINT, NO_CHECK = "UP", "DOWN", "DRAIN", "MAINT", "NO_CHECK"


@dataclasses.dataclass(frozen=True)
class Traffic:
    """Counters of one listener in one process; `active` is a gauge, `limit` its ceiling."""

    bytes_in: int = 0
    bytes_out: int = 0
    total: int = 0
    errors: int = 0
    active: int = 0
    limit: int = 0

    def __sub__(self, other: Traffic) -> Traffic:
        """Return the difference of the counters."""
        return Traffic(
            self.bytes_in - other.bytes_in,
            self.bytes_out - other.bytes_out,
            self.total - other.total,
            self.errors - other.errors,
        )

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
            self.total + other.total,
            self.errors + other.errors,
            self.active + other.active,
            max(self.limit, other.limit),
        )


@dataclasses.dataclass(frozen=True)
class Reading:
    """One `show stat`: by frontend, by backend, by (backend, server)."""

    frontends: dict[str, Traffic] = dataclasses.field(default_factory=dict)
    accepting: set[str] = dataclasses.field(default_factory=set)
    """The frontends that take connections."""
    backends: dict[str, str] = dataclasses.field(default_factory=dict)
    servers: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Say whether no client is connected any more."""
        return not any(traffic.active for traffic in self.frontends.values())


def read(text: str) -> Reading:
    """Return the reading in the reply to `show stat`; raise `Bug` if it is none."""
    rows = csv.DictReader(io.StringIO(text.removeprefix("# ").strip()))
    if not rows.fieldnames or "svname" not in rows.fieldnames:
        raise Bug("the reply of HAProxy is no statistics")
    reading = Reading()
    for row in rows:
        proxy, server = row["pxname"], row["svname"]
        if server == "FRONTEND":
            reading.frontends[proxy] = Traffic(
                bytes_in=int(row["bin"] or 0),
                bytes_out=int(row["bout"] or 0),
                total=int(row["stot"] or 0),
                errors=int(row["ereq"] or 0),
                active=int(row["scur"] or 0),
                limit=int(row["slim"] or 0),
            )
            if row["status"] != "STOP":
                reading.accepting.add(proxy)
        elif server == "BACKEND":
            reading.backends[proxy] = row["status"]
        else:
            reading.servers[proxy, server] = row["status"]
    return reading


def pool_reports(
    plan: Routes, reading: Reading, verdicts: dict[tuple[str, str], bool]
) -> tuple[PoolReport, ...]:
    """Return the health of every pool in use.

    `verdicts` are the prober's, by (pool, member).  A pool with several backends serves if one of
    them does; its members are checked alike in each, so the first tells their status.
    """
    groups: dict[str, list[Backend]] = {}
    for backend in plan.backends:
        groups.setdefault(backend.pool.id, []).append(backend)
    reports = []
    for pool_id, backends in groups.items():
        up = any(reading.backends.get(backend.name) == UP for backend in backends)
        pool, name = backends[0].pool, backends[0].name
        members = tuple(
            MemberReport(
                id=member.id,
                status=_status(
                    pool,
                    member,
                    reading.servers.get((name, member.id)),
                    verdicts.get((pool_id, member.id), True),
                ),
            )
            for member in pool.members
        )
        reports.append(PoolReport(id=pool_id, status=UP if up else DOWN, members=members))
    return tuple(reports)


def _status(pool: Pool, member: Member, shown: str | None, verdict: bool) -> str:
    """Return the status of one member from what HAProxy shows (`UP 1/3`, `no check` …)."""
    pinged = pool.monitor is not None and pool.monitor.enabled and pool.monitor.type == "PING"
    if not member.enabled:
        return MAINT
    if shown is None or shown.startswith(DOWN) or (pinged and not verdict):
        return DOWN
    if member.weight == 0 or shown.startswith(DRAIN):
        # HAProxy shows "no check" even for a drained server when it does not check it.
        return DRAIN
    if shown.startswith(MAINT):
        return MAINT
    return NO_CHECK if shown == "no check" and not pinged else UP
