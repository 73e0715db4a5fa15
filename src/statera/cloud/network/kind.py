"""What the three resources of the Network API have in common: show, list, how a write begins."""

from __future__ import annotations

import abc
import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from statera.cloud.network import errors
from statera.cloud.network.access import lock_network, owns
from statera.cloud.network.attributes import Shape, Values
from statera.cloud.network.listing import Columns, Filter, Query, after
from statera.lb.caller import Caller
from statera.lb.errors import NotFound


class Kind(abc.ABC):
    """One resource: its attributes, its table, its rules.

    Every method runs inside a transaction of the caller's; errors are those of `errors`.
    """

    shape: Shape
    table: sa.Table
    columns: Columns
    """What lists can be filtered and sorted by."""
    filters: ClassVar[Mapping[str, Filter]] = {}
    """Filters that are no plain column."""
    publishes: bool = False
    """A write may change documents."""
    visible: Callable[[Caller], sa.ColumnElement[bool]]
    """Returns the condition for the rows that the caller can see."""
    missing: Callable[[str], NotFound]
    """Returns the error for an object, by its id, that is not there."""

    @abc.abstractmethod
    def views(self, connection: Connection, rows: Sequence[RowMapping]) -> list[Values]:
        """Return the rows as the API shows them."""

    @abc.abstractmethod
    def create(self, connection: Connection, caller: Caller, values: Values) -> str:
        """Create an object and return its id."""

    @abc.abstractmethod
    def update(
        self, connection: Connection, caller: Caller, object_id: str, values: Values
    ) -> None:
        """Change an object."""

    @abc.abstractmethod
    def delete(self, connection: Connection, caller: Caller, object_id: str) -> None:
        """Delete an object."""

    def show(self, connection: Connection, caller: Caller, object_id: str) -> Values:
        """Return one object as the API shows it."""
        return self.views(connection, [self.row(connection, caller, object_id)])[0]

    def listed(
        self, connection: Connection, caller: Caller, query: Query, most: int
    ) -> tuple[list[Values], bool]:
        """Return a page of objects and whether there are more behind it."""
        order = query.order(self.columns)
        statement = self._select().where(
            self.visible(caller), *query.conditions(self.columns, self.filters)
        )
        if query.marker is not None:
            self._check_id(query.marker)
            last = connection.execute(
                sa.select(*(column for column, _ in order)).where(
                    self.table.c.id == query.marker, self.visible(caller)
                )
            ).one_or_none()
            if last is None:
                raise self.missing(query.marker)
            statement = statement.where(after(order, last))
        limit = query.limit(most)
        sorting = [column.desc() if descending else column.asc() for column, descending in order]
        rows = connection.execute(statement.order_by(*sorting).limit(limit + 1)).mappings().all()
        return self.views(connection, rows[:limit]), len(rows) > limit

    def row(self, connection: Connection, caller: Caller, object_id: str) -> RowMapping:
        """Return the row of an object that the caller can see; raise if there is none."""
        self._check_id(object_id)
        statement = self._select().where(self.table.c.id == object_id, self.visible(caller))
        row = connection.execute(statement).mappings().one_or_none()
        if row is None:
            raise self.missing(object_id)
        return row

    def locked(
        self, connection: Connection, caller: Caller, object_id: str, rule: str
    ) -> RowMapping:
        """Return the row of an object that the caller may change, with its network locked."""
        row = self.row(connection, caller, object_id)
        network = lock_network(connection, row.get("network_id", row["id"]))
        row = self.row(connection, caller, object_id)  # what counts is what holds under the lock
        if not self.changeable(caller, row, network):
            raise errors.PolicyNotAuthorized(f"rule:{rule}_{self.shape.singular}")
        return row

    def changeable(self, caller: Caller, row: RowMapping, network: RowMapping) -> bool:  # noqa: ARG002
        """Say whether the caller may change the object."""
        return owns(caller, row["project_id"])

    def stamp(self, connection: Connection, row: RowMapping, changes: Values) -> None:
        """Write changed columns of a row, with its new revision and time."""
        connection.execute(
            sa.update(self.table)
            .where(self.table.c.id == row["id"])
            .values(**changes, revision_number=row["revision_number"] + 1, updated_at=moment())
        )

    def stored(self, values: Values) -> Values:
        """Return the values that have a column; the others can only have the usual value."""
        return {name: value for name, value in values.items() if name in self.table.c}

    def _select(self) -> sa.Select[Any]:
        """Return the statement for the rows that `views` wants."""
        return sa.select(self.table)

    def _check_id(self, object_id: str) -> None:
        if not object_id.isprintable() or len(object_id) > 36:
            raise self.missing(object_id)


def moment() -> datetime.datetime:
    """Return the time as it is stored for users: UTC without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def fresh() -> Values:
    """Return the columns that every new row has."""
    time = moment()
    return {
        "id": str(uuid.uuid4()),
        "revision_number": 1,
        "created_at": time,
        "updated_at": time,
    }


def shown(row: RowMapping, *names: str) -> Values:
    """Return the part of a view that is alike for all, and the columns of those names."""
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "project_id": row["project_id"],
        "tenant_id": row["project_id"],
        "revision_number": row["revision_number"],
        "created_at": f"{row['created_at']:%Y-%m-%dT%H:%M:%SZ}",
        "updated_at": f"{row['updated_at']:%Y-%m-%dT%H:%M:%SZ}",
    } | {name: row[name] for name in names}


def plain(table: sa.Table, *names: str) -> dict[str, sa.ColumnElement[Any]]:
    """Return the columns that lists of every resource are filtered and sorted by, and more."""
    alike = ("id", "name", "description", "project_id", "revision_number")
    columns: dict[str, sa.ColumnElement[Any]] = {
        name: table.c[name] for name in (*alike, "created_at", "updated_at", *names)
    }
    return columns | {"tenant_id": table.c.project_id}


READ_ONLY = frozenset({"id", "revision_number", "created_at", "updated_at", "status"})
"""Attributes of every reply that nobody sets."""
