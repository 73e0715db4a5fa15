"""What agents ask or say that is not theirs: logged at once, counted in the database now and then.

An agent gone mad costs a log line a message, and a write every few seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from statera.gateway.threads import Threads
from statera.store import refusals
from statera.store.refusals import Key, Refused

LOG = logging.getLogger(__name__)

_NAMED = 10
"""Ids in one line of the log at most."""


class Refusals:
    """The refusals of one gateway."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._counts: dict[Key, Refused] = {}

    def note(self, subject: str, kind: str, ids: Sequence[str]) -> None:
        """Log that `subject` spoke of `ids`, which are not its own, and count them."""
        if not ids:
            return
        before = self._counts.get((subject, kind))
        total = len(ids) + (before.count if before else 0)
        self._counts[subject, kind] = Refused(total, ids[-1])
        LOG.warning(
            "agent.refused subject=%s kind=%s count=%d ids=%s",
            subject,
            kind,
            len(ids),
            ",".join(ids[:_NAMED]),
        )

    async def flush(self) -> None:
        """Write the counts; what cannot be written is written another time."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._threads.write(lambda c: refusals.add(c, counts))
        except Exception as error:
            LOG.warning("refusals.unwritten error=%s", error)
            for key, each in counts.items():
                later = self._counts.get(key, Refused(0, each.last))
                self._counts[key] = Refused(each.count + later.count, later.last)
