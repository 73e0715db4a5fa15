"""What an agent says that it holds, held against what this database knows.

An empty database, another installation's or yesterday's backup shows here: the agent then holds
what nobody knows, or what is newer.  Nothing is done about it but to say so (design §7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.spec.wire import Held
from statera.store.tables.placement import amphora, document

CHUNK = 500


@dataclass(frozen=True, slots=True)
class Holdings:
    """Ids of what belongs to other machines, of what nobody knows, and of what is `ahead`.

    That is what is newer than here, or another document of the same number: since a backup was
    restored, or before, agent and database went different ways.

    A tombstone that nobody knows is none of them: what is deleted for long is purged.  `ranges` are
    those of unknown networks: as long as a machine carries them, no other network may have them.
    """

    foreign: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    ahead: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Published:
    """The number of a document, and the stamps of it and its predecessors by number."""

    order: tuple[int, int]
    stamps: Mapping[tuple[int, int], str]

    def is_other(self, held: Held) -> bool:
        """Say whether `held` is newer, or another one of the same number."""
        order = (held.epoch, held.revision)
        if order > self.order:
            return True
        stamped = bool(held.stamp) or held.retired
        return stamped and self.stamps.get(order, held.stamp) != held.stamp


_NOTHING = _Published((0, 0), {})


def survey(connection: Connection, machine_id: str, held: Sequence[Held]) -> Holdings:
    """Return what is remarkable about what a machine holds."""
    ids = [each.id for each in held]
    published: dict[str, _Published] = {}
    places: dict[str, str | None] = {}
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        wanted = sa.select(amphora.c.id, amphora.c.machine_id).where(amphora.c.id.in_(part))
        places.update((row.id, row.machine_id) for row in connection.execute(wanted))
        c = document.c
        columns = (c.id, c.machine_id, c.epoch, c.revision, c.stamp, c.history)
        for row in connection.execute(sa.select(*columns).where(c.id.in_(part))):
            published[row.id] = _Published(
                (row.epoch, row.revision),
                {(epoch, revision): stamp for epoch, revision, stamp in row.history}
                | {(row.epoch, row.revision): row.stamp},
            )
            places[row.id] = row.machine_id or places.get(row.id)
    foreign = {key for key, place in places.items() if place not in (None, machine_id)}
    unknown = [each for each in held if each.id not in places and not each.retired]
    ahead = [
        each.id
        for each in held
        if each.id in places
        and each.id not in foreign
        and published.get(each.id, _NOTHING).is_other(each)
    ]
    return Holdings(
        foreign=tuple(sorted(foreign)),
        unknown=tuple(each.id for each in unknown),
        ahead=tuple(ahead),
        ranges=tuple(cidr for each in unknown for cidr in each.ranges),
    )


def elsewhere(connection: Connection, machine_id: str, ids: Sequence[str]) -> set[str]:
    """Return those of `ids` that belong to another machine."""
    held = [Held(id=each, epoch=0, revision=0) for each in ids]
    return set(survey(connection, machine_id, held).foreign)
