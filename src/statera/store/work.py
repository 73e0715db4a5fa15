"""The work queue: what makes a wish come true even if everybody dies at once.

One row per load balancer.  A wish makes it due and raises `nudges`; a worker claims it for the time
of a lease under a new `fence` number, and gives it back with `finish`, `park` or `fail`.  What was
asked for meanwhile is due at once.  All times are the database's clock.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.errors import StateraError
from statera.store.tables.work import work
from statera.store.types import now

FURTHEST = 300.0
"""Seconds that work lies ahead at most; a time further ahead was written under another clock."""
LONGEST_LEASE = 300.0
"""Seconds that a lease lasts at most; likewise."""
LONGEST_TEXT = 4000


class LeaseLost(StateraError):
    """Somebody else works on this load balancer now: stop, and write nothing more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease on the work of one load balancer, as it was when it was claimed."""

    load_balancer_id: str
    fence: int
    nudges: int
    attempts: int
    """How often in a row it was tried before without success."""


# Built once: building them costs more than running them, and every wish does.
_NUDGE = (
    sa.update(work)
    .where(work.c.load_balancer_id == sa.bindparam("wanted"))
    .values(due_at=now(), nudges=work.c.nudges + 1)
)
_FIRST = sa.insert(work).values(due_at=now(), nudges=1, attempts=0, fence=0)


def nudge(connection: Connection, load_balancer_id: str) -> None:
    """Make work on a load balancer due now, in the transaction of the wish.

    The caller holds the load balancer's row lock (or is creating it), so there is no race for the
    insert.
    """
    if connection.execute(_NUDGE, {"wanted": load_balancer_id}).rowcount == 0:
        connection.execute(_FIRST, {"load_balancer_id": load_balancer_id})


def claim(connection: Connection, owner: str, lease_seconds: float, limit: int) -> list[Claim]:
    """Lease up to `limit` pieces of due work, the longest due first."""
    due = sa.or_(work.c.due_at <= now(), work.c.due_at > now() + FURTHEST)
    free = sa.or_(
        work.c.leased_until.is_(None),
        work.c.leased_until <= now(),
        work.c.leased_until > now() + LONGEST_LEASE,
    )
    found = connection.execute(
        sa.select(work.c.load_balancer_id, work.c.fence, work.c.nudges, work.c.attempts)
        .where(due, free)
        .order_by(work.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    claims = [Claim(row.load_balancer_id, row.fence + 1, row.nudges, row.attempts) for row in found]
    if claims:
        connection.execute(
            sa.update(work)
            .where(work.c.load_balancer_id.in_([each.load_balancer_id for each in claims]))
            .values(
                leased_by=owner,
                leased_until=now() + min(lease_seconds, LONGEST_LEASE),
                fence=work.c.fence + 1,
            )
        )
    return claims


def extend(connection: Connection, held: Claim, lease_seconds: float) -> bool:
    """Prolong a lease from now on; False when it is lost."""
    return _give(connection, held, leased_until=now() + min(lease_seconds, LONGEST_LEASE))


def fenced(connection: Connection, held: Claim) -> None:
    """Hold the work row and raise `LeaseLost` unless the claim still stands.

    Every write of a worker begins with it.  A transaction that also locks the load balancer's row
    locks that one first.
    """
    fence = connection.scalar(
        sa.select(work.c.fence)
        .where(work.c.load_balancer_id == held.load_balancer_id, work.c.leased_by.is_not(None))
        .with_for_update()
    )
    if fence != held.fence:
        raise LeaseLost(f"load balancer {held.load_balancer_id}: fence {held.fence} is {fence}")


def holders(connection: Connection) -> list[str]:
    """Return who holds leases."""
    found = sa.select(work.c.leased_by).where(work.c.leased_by.is_not(None)).distinct()
    return [holder for holder in connection.scalars(found) if holder]


def release_dead(connection: Connection, holder: str) -> int:
    """End every lease of a holder that is known to be dead; return how many."""
    ended = connection.execute(
        sa.update(work).where(work.c.leased_by == holder).values(leased_by=None, leased_until=None)
    )
    return ended.rowcount


def finish(connection: Connection, held: Claim) -> None:
    """Give the work back as done; due at once if more was asked for.  Raise `LeaseLost`."""
    _release(connection, held, None, None, 0)


def park(connection: Connection, held: Claim, seconds: float, reason: str) -> None:
    """Give the work back until something happens, `seconds` at most.  Raise `LeaseLost`."""
    _release(connection, held, seconds, reason, 0)


def fail(connection: Connection, held: Claim, seconds: float, error: str) -> None:
    """Give the work back to be tried again in `seconds`.  Raise `LeaseLost`."""
    _release(connection, held, seconds, error, held.attempts + 1)


def backoff(attempts: int, longest: float) -> float:
    """Return seconds to wait after so many failures: doubling from half a second, with jitter."""
    ceiling = min(longest, FURTHEST, 0.5 * 2.0 ** min(attempts, 20))
    return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards nothing)


def _release(
    connection: Connection, held: Claim, seconds: float | None, text: str | None, attempts: int
) -> None:
    later: Any = sa.null() if seconds is None else now() + min(seconds, FURTHEST)
    given = _give(
        connection,
        held,
        due_at=sa.case((work.c.nudges == held.nudges, later), else_=now()),
        leased_by=None,
        leased_until=None,
        attempts=attempts,
        last_error=text[:LONGEST_TEXT] if text else None,
    )
    if not given:
        raise LeaseLost(f"load balancer {held.load_balancer_id}: fence {held.fence} is gone")


def _give(connection: Connection, held: Claim, **values: object) -> bool:
    """Change the row of a claim; False unless it stands: its fence is the last, not given back."""
    changed = connection.execute(
        sa.update(work)
        .where(
            work.c.load_balancer_id == held.load_balancer_id,
            work.c.fence == held.fence,
            work.c.leased_by.is_not(None),
        )
        .values(**values)
    )
    return changed.rowcount == 1
