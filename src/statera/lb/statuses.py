"""Statuses: what they are called and how the provisioning status follows from a row and the time.

Nobody writes a provisioning status (design §4); `store` has the same function in SQL, and one test
holds the two against each other.
"""

from __future__ import annotations

from typing import Any, Protocol

ACTIVE = "ACTIVE"
PENDING_CREATE = "PENDING_CREATE"
PENDING_UPDATE = "PENDING_UPDATE"
PENDING_DELETE = "PENDING_DELETE"
ERROR = "ERROR"
DELETED = "DELETED"

PROVISIONING = (ACTIVE, PENDING_CREATE, PENDING_UPDATE, PENDING_DELETE, ERROR, DELETED)

ONLINE = "ONLINE"
OFFLINE = "OFFLINE"
DEGRADED = "DEGRADED"
DRAINING = "DRAINING"
NO_MONITOR = "NO_MONITOR"

OPERATING = (ONLINE, OFFLINE, DEGRADED, ERROR, DRAINING, NO_MONITOR)


class Generations(Protocol):
    """The columns that a provisioning status follows from."""

    @property
    def generation(self) -> Any:
        """Generation that the row waits for."""

    @property
    def born(self) -> Any:
        """Generation that created it."""

    @property
    def settled(self) -> Any:
        """Highest generation of it in force."""

    @property
    def pending_since(self) -> Any:
        """When its oldest pending wish was made (seconds since 1970), or None."""

    @property
    def live(self) -> Any:
        """1, or None once it is doomed."""

    @property
    def fault_generation(self) -> Any:
        """Generation for which its fault is final, or None."""


def provisioning_status(row: Generations, now: float, ceiling: float) -> str:
    """Return the provisioning status of a row at `now` (seconds since 1970).

    A wish that has been pending for longer than `ceiling` seconds shows as ERROR; work on it goes
    on, and success clears it.
    """
    if row.fault_generation is not None and row.fault_generation == row.generation:
        return ERROR
    settled: bool = row.settled >= row.generation
    if not settled and row.pending_since is not None and now - row.pending_since > ceiling:
        return ERROR
    if row.live is None:
        return PENDING_DELETE
    if row.settled < row.born:
        return PENDING_CREATE
    return ACTIVE if settled else PENDING_UPDATE
