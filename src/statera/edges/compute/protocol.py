"""Where amphorae run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an amphora is to run; `machine_id` is the machine whose agent gets its document."""

    machine_id: str
    compute_id: str | None = None


class Compute(Protocol):
    """The compute service.  Calls are repeatable: what they create is named after the amphora.

    `reports`: agents report from where it places.  Without (the no-op) a published document counts
    as in force.
    """

    reports: bool

    def place(self, amphora_id: str, load_balancer_id: str) -> Placement:
        """Find or create room for the amphora.  Raise `lb.errors.Retryable` when there is none."""
        ...

    def release(self, amphora_id: str) -> None:
        """Give the room back; nothing happens when there is none."""
        ...
