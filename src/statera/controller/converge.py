"""Converge(load balancer id): observe, plan, act, until nothing is left but to wait.

It is told which load balancer, never what happened; creating, changing, deleting and repairing
after a crash are the same code.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from statera.controller.acting import Actor, Checkpoint, Edges
from statera.controller.observing import observe
from statera.controller.settings import ControllerSettings
from statera.lb.errors import Bug, Final, Retryable, UserError
from statera.plan.planning import plan
from statera.plan.steps import AwaitTime, Blocked, Plan
from statera.store import settling, work
from statera.store.desired import Stored, load
from statera.store.work import Claim, LeaseLost

LOG = logging.getLogger(__name__)

MOST_ROUNDS = 50
"""Plans that one piece of work may need; more is a fault of ours."""


class Held:
    """A claim, and until when it stands (monotonic seconds), as far as this process knows.

    A keeper that the database keeps waiting cannot say that a lease has run out: the clock does.
    """

    def __init__(self, claim: Claim, until: float) -> None:
        self.claim = claim
        self.until = until

    def check(self) -> None:
        """Raise `LeaseLost` unless the claim stands."""
        if time.monotonic() >= self.until:
            raise LeaseLost(f"load balancer {self.claim.load_balancer_id}: the lease ran out")


@dataclass(frozen=True, slots=True)
class Rest:
    """How a piece of work is given back: done, or left alone for `seconds` at most."""

    seconds: float | None = None
    reason: str = ""


class Converger:
    """Works on claims; one for all threads."""

    def __init__(
        self, edges: Edges, settings: ControllerSettings, checkpoint: Checkpoint | None = None
    ) -> None:
        self._edges = edges
        self._settings = settings
        self._checkpoint = checkpoint or (lambda _name: None)

    def work(self, held: Held) -> None:
        """Work on a claim and give it back.  Raises nothing: a failure is tried again."""
        claim = held.claim
        try:
            self._give_back(claim, self._converge(held))
        except LeaseLost as error:
            LOG.warning("work.lost load_balancer=%s error=%s", claim.load_balancer_id, error)
        except Retryable as error:
            self._failed(claim, str(error), error.delay)
        except UserError as error:  # what the wish needs is gone or taken: somebody has to act
            self._failed(claim, error.text, None)
        except Final as error:
            self._refused(claim, str(error))
        except Exception:
            number = uuid.uuid4().hex[:12]
            LOG.exception("work.broken load_balancer=%s error=%s", claim.load_balancer_id, number)
            self._failed(claim, f"internal error {number}", None)

    def _converge(self, held: Held) -> Rest:
        owner = held.claim.load_balancer_id
        actor = Actor(self._edges, held.claim, self._checkpoint)
        for _round in range(MOST_ROUNDS):
            stored = self._edges.database.read(lambda connection: load(connection, owner))
            if stored is None:
                return Rest()
            found = self._plan(stored)
            LOG.debug("work.planned load_balancer=%s plan=%s", owner, found)
            for step in found.acts:
                held.check()
                actor.take(step)
                LOG.info("work.step load_balancer=%s step=%s", owner, step)
            if found.ends:
                return self._rest(held.claim, stored, found)
        raise Bug(f"load balancer {owner}: no end after {MOST_ROUNDS} plans")

    def _plan(self, stored: Stored) -> Plan:
        reports = self._edges.compute.reports
        return plan(
            stored.desired,
            observe(stored, self._edges.networks, reports=reports),
            stored.now,
        )

    def _rest(self, claim: Claim, stored: Stored, found: Plan) -> Rest:
        """Return how long to leave a load balancer alone; say what blocks it."""
        if not found.waits:
            return Rest()
        blocked = next((each for each in found.waits if isinstance(each, Blocked)), None)
        if blocked and blocked.reason != stored.desired.load_balancer.fault:
            self._write(claim, lambda c: settling.note_fault(c, claim, blocked.reason))
        times = [each.until - stored.now for each in found.waits if isinstance(each, AwaitTime)]
        reasons = "; ".join(each.reason for each in found.waits)
        return Rest(min([work.FURTHEST, *(max(0.0, each) for each in times)]), reasons)

    def _give_back(self, claim: Claim, rest: Rest) -> None:
        def give(connection: Connection) -> None:
            if rest.seconds is None:
                work.finish(connection, claim)
            else:
                work.park(connection, claim, rest.seconds, rest.reason)

        self._edges.database.write(give)

    def _failed(self, claim: Claim, text: str, delay: float | None) -> None:
        wait = work.backoff(claim.attempts, self._settings.max_backoff) if delay is None else delay
        LOG.warning(
            "work.failed load_balancer=%s attempts=%d retry_in=%.1f error=%s",
            claim.load_balancer_id,
            claim.attempts + 1,
            wait,
            text,
        )

        def give(connection: Connection) -> None:
            settling.note_fault(connection, claim, text)
            work.fail(connection, claim, wait, text)

        self._write(claim, give)

    def _refused(self, claim: Claim, text: str) -> None:
        LOG.warning("work.refused load_balancer=%s error=%s", claim.load_balancer_id, text)

        def give(connection: Connection) -> None:
            settling.note_fault(connection, claim, text, final=True)
            work.park(connection, claim, work.FURTHEST, text)

        self._write(claim, give)

    def _write(self, claim: Claim, write: Callable[[Connection], None]) -> None:
        """Write what became of a claim; unwritten, it is taken over when its lease ends."""
        try:
            self._edges.database.write(write)
        except LeaseLost as error:
            LOG.warning("work.lost load_balancer=%s error=%s", claim.load_balancer_id, error)
        except Exception:
            LOG.exception("work.unwritten load_balancer=%s", claim.load_balancer_id)
