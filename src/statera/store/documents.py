"""Documents: what agents are to make true, one row per amphora (and per embedded network).

The revision of a row only grows.  Whoever publishes holds a fence or the lock of the thing that the
document is about, so two publishers never meet on one row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.spec.document import AmphoraSpec
from statera.store.tables.placement import amphora, document, observation
from statera.store.types import now

EPOCH = 1
"""Documents of an older epoch are overruled by any of a newer one; a repair begins a new one."""
HISTORY = 50
"""Former documents that are remembered by number: an agent that is further behind is trusted."""
AMPHORA = "amphora"
NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Head:
    """A document without its body; `settled`: the retirement was reported as done."""

    id: str
    kind: str
    machine_id: str | None
    epoch: int
    revision: int
    retired: bool
    settled: bool

    @property
    def order(self) -> tuple[int, int]:
        """What orders the documents of one object."""
        return self.epoch, self.revision


def publish(connection: Connection, spec: AmphoraSpec) -> AmphoraSpec:
    """Publish the document of a placed amphora under its next revision; return it numbered."""
    found = _numbers(connection, spec.amphora_id)
    revision = found["revision"] + 1 if found else 1
    epoch = max(found["epoch"], EPOCH) if found else EPOCH
    numbered = msgspec.structs.replace(spec, epoch=epoch, revision=revision)
    body = msgspec.msgpack.encode(numbered)
    values = {
        "machine_id": _machine(spec.amphora_id),
        "epoch": epoch,
        "revision": revision,
        "generation": spec.generation,
        "body": body,
        "retired": False,
        "published_at": now(),
        **stamps(found, body),
    }
    if found:
        connection.execute(
            sa.update(document).where(document.c.id == spec.amphora_id).values(**values)
        )
    else:
        connection.execute(sa.insert(document).values(id=spec.amphora_id, kind=AMPHORA, **values))
    return numbered


def retire(connection: Connection, amphora_id: str) -> None:
    """Publish that nothing of an amphora is to be left; nothing happens if that is said already."""
    found = _numbers(connection, amphora_id)
    if found and not found["retired"]:
        values = {"retired": True, "body": None, "revision": found["revision"] + 1}
        connection.execute(
            sa.update(document)
            .where(document.c.id == amphora_id)
            .values(**values, published_at=now(), **stamps(found, None))
        )


def stamps(before: sa.RowMapping | None, body: bytes | None) -> dict[str, Any]:
    """Return what a row notes to tell its document from others of the same number.

    `before` has epoch, revision, stamp and history of its predecessor, None if there is none.
    """
    history = before["history"] if before else []
    if before:
        history = [*history, [before["epoch"], before["revision"], before["stamp"]]]
    stamp = hashlib.blake2b(body, digest_size=8).hexdigest() if body is not None else ""
    return {"stamp": stamp, "history": history[-HISTORY:]}


def _numbers(connection: Connection, amphora_id: str) -> sa.RowMapping | None:
    c = document.c
    columns = (c.epoch, c.revision, c.retired, c.stamp, c.history)
    found = connection.execute(sa.select(*columns).where(c.id == amphora_id))
    return found.mappings().one_or_none()


def _machine(amphora_id: str) -> sa.ScalarSelect[str | None]:
    return sa.select(amphora.c.machine_id).where(amphora.c.id == amphora_id).scalar_subquery()


def heads_of_late(connection: Connection, seconds: float) -> list[Head]:
    """Return the documents published within the last `seconds`, or under a clock ahead of ours."""
    found = _heads().where(document.c.published_at > now() - seconds)
    return [Head(**row) for row in connection.execute(found).mappings()]


def heads_of(connection: Connection, machine_id: str) -> list[Head]:
    """Return every document that concerns a machine."""
    found = _heads().where(_concerning(machine_id))
    return [Head(**row) for row in connection.execute(found).mappings()]


def networks_of(connection: Connection, machine_id: str, ids: Iterable[str]) -> set[str]:
    """Return those of `ids` that are networks which concern a machine."""
    c = document.c
    wanted = sa.select(c.id).where(c.id.in_(list(ids)), c.kind == NETWORK)
    return set(connection.scalars(wanted.where(_concerning(machine_id))))


def _concerning(machine_id: str) -> sa.ColumnElement[bool]:
    c = document.c
    everywhere = sa.and_(c.machine_id.is_(None), c.kind == NETWORK)
    return sa.or_(c.machine_id == machine_id, everywhere)


def _heads() -> sa.Select[Any]:
    return sa.select(
        document.c.id,
        document.c.kind,
        document.c.machine_id,
        document.c.epoch,
        document.c.revision,
        document.c.retired,
        sa.func.coalesce(observation.c.retired, sa.false()).label("settled"),
    ).select_from(document.outerjoin(observation, observation.c.amphora_id == document.c.id))


@dataclass(frozen=True, slots=True)
class Full:
    """A document with its body (None when it is retired)."""

    id: str
    kind: str
    epoch: int
    revision: int
    retired: bool
    body: bytes | None
    stamp: str


def bodies(connection: Connection, ids: Iterable[str], machine_id: str) -> list[Full]:
    """Return documents by id, as they are now, of those that concern the machine."""
    c = document.c
    columns = (c.id, c.kind, c.epoch, c.revision, c.retired, c.body, c.stamp)
    found = connection.execute(
        sa.select(*columns).where(c.id.in_(list(ids)), _concerning(machine_id))
    )
    return [Full(**row) for row in found.mappings()]
