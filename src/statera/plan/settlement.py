"""What becomes of a row once a generation is in force: the rule of design §4, as one function.

The plan asks it whether there is anything to settle, the store applies it to the rows as they are
then, so the two cannot disagree.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from statera.plan.desired import Desired
from statera.spec.report import Fault


class Pending(enum.Enum):
    """What becomes of `pending_since`."""

    KEPT = "kept"
    CLEARED = "cleared"
    RENEWED = "renewed"
    """The oldest wish is in force, a newer one is not."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The new values of a row; `removed`: it goes away instead."""

    settled: int
    pending: Pending
    fault: str | None = None
    fault_generation: int | None = None
    removed: bool = False


Faults = Mapping[str, Fault]
"""Faults by the id of their object."""


def by_object(faults: Iterable[Fault]) -> Faults:
    """Return faults by object id; a final one wins, as it is what the user can act upon."""
    return {fault.object_id: fault for fault in sorted(faults, key=lambda fault: fault.final)}


class Settled(Protocol):
    """The columns that settling reads."""

    @property
    def generation(self) -> int: ...  # noqa: D102
    @property
    def born(self) -> int: ...  # noqa: D102
    @property
    def settled(self) -> int: ...  # noqa: D102
    @property
    def pending_since(self) -> float | None: ...  # noqa: D102
    @property
    def live(self) -> int | None: ...  # noqa: D102
    @property
    def fault(self) -> str | None: ...  # noqa: D102
    @property
    def fault_generation(self) -> int | None: ...  # noqa: D102


def outcome(row: Settled, applied: int, fault: Fault | None) -> Outcome | None:
    """Return what becomes of a row when `applied` is in force; None: it stays as it is.

    A retry-able fault keeps the row unsettled, so that its wish ages; a final one settles it, and
    shows as ERROR because `fault_generation` is the row's generation.
    """
    if row.live is None and row.generation <= applied:
        return Outcome(row.generation, Pending.CLEARED, removed=True)
    retrying = fault is not None and not fault.final
    reached = row.settled
    if not retrying and row.born <= applied:
        reached = max(row.settled, min(row.generation, applied))
    refused = fault is not None and fault.final and row.generation <= max(applied, row.settled)
    found = Outcome(
        settled=reached,
        pending=_pending(row, reached),
        fault=fault.text if fault else None,
        fault_generation=row.generation if refused else None,
    )
    return None if _same(row, found) else found


def unsettled(desired: Desired, applied: int, faults: Faults) -> bool:
    """Say whether settling `applied` would change any row of a living load balancer."""
    return any(outcome(row, applied, faults.get(row.id)) is not None for row in desired.rows())


def _pending(row: Settled, reached: int) -> Pending:
    if reached >= row.generation:
        return Pending.CLEARED
    return Pending.RENEWED if reached > row.settled else Pending.KEPT


def _same(row: Settled, found: Outcome) -> bool:
    cleared = found.pending is not Pending.CLEARED or row.pending_since is None
    return cleared and (found.settled, found.fault, found.fault_generation) == (
        row.settled,
        row.fault,
        row.fault_generation,
    )
