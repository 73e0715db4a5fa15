"""Lists: filters, tags, sorting and paging of one resource, all in SQL.

Null sorts and compares as the smallest value of its type on all three databases, so that a marker
finds its place whatever its row holds.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.lb.declare import attributes
from statera.lb.errors import InvalidInput
from statera.lb.kinds import TRUE
from statera.store.queries import Row, Source
from statera.store.statuses import provisioning_status
from statera.store.tables.objects import tag

UNKNOWN_FILTER = "One or more arguments are either duplicate or invalid"

_LISTED = ("vip_sg_ids",)
"""Columns with lists that can be searched for one item."""

Expression = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class TagQuery:
    """The four forms of filters by tags; None: not asked for."""

    every: tuple[str, ...] | None = None
    some: tuple[str, ...] | None = None
    not_every: tuple[str, ...] | None = None
    not_some: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a list is asked for.

    `scope` binds columns to values (what the caller may see, what the path names); `sort` holds
    (attribute, descending) pairs; `limit` None is everything; `reverse` takes what precedes the
    marker.
    """

    scope: Mapping[str, str] = field(default_factory=dict)
    filters: Mapping[str, str] = field(default_factory=dict)
    tags: TagQuery = TagQuery()
    sort: Sequence[tuple[str, bool]] = ()
    limit: int | None = None
    marker: str | None = None
    reverse: bool = False


class Listing:
    """The lists of one resource.

    `aliases` maps further names that clients use to columns; `ceiling` as in `lb.statuses`.
    """

    def __init__(
        self, source: Source, declared: type[Any], aliases: Mapping[str, str], ceiling: float
    ) -> None:
        self._source = source
        self._ceiling = ceiling
        table = source.table
        self._blank = {n for n, a in attributes(declared).items() if a.blank}
        self._columns: dict[str, Expression] = {
            name: table.c[name]
            for name, attr in attributes(declared).items()
            if attr.filtered and attr.stored
        }
        self._columns |= {name: table.c[column] for name, column in aliases.items()}
        self._listed = {name: table.c[name] for name in _LISTED if name in table.c}
        self._columns["provisioning_status"] = provisioning_status(table, ceiling)

    def page(self, connection: Connection, query: PageQuery) -> list[Row]:
        """Return the full rows of a page.

        Raise `InvalidInput` for an unknown filter, sort key or marker.
        """
        order = self._order(query.sort)
        statement = self._source.select
        for condition in (*self._scoped(query), *self._filtered(query), *self._tagged(query.tags)):
            statement = statement.where(condition)
        if query.marker is not None:
            statement = statement.where(self._beyond(connection, query, order))
        statement = statement.order_by(*(e.desc() if down else e.asc() for e, down in order))
        if query.limit is not None:
            statement = statement.limit(query.limit)
        return self._source.rows(connection, statement, self._ceiling)

    def _scoped(self, query: PageQuery) -> list[Expression]:
        return [self._source.table.c[name] == value for name, value in query.scope.items()]

    def _filtered(self, query: PageQuery) -> list[Expression]:
        return [self._filter(name, text) for name, text in query.filters.items()]

    def _filter(self, name: str, text: str) -> Expression:
        if name in self._listed:
            return sa.cast(self._listed[name], sa.String).contains(f'"{text}"', autoescape=True)
        column = self._columns.get(name)
        if column is None:
            raise InvalidInput(UNKNOWN_FILTER)
        if text == "" and name in self._blank:
            return sa.func.coalesce(column, "") == ""
        value = _value(column.type, text)
        return sa.false() if value is None else column == value

    def _tagged(self, wanted: TagQuery) -> list[Expression]:
        conditions: list[Expression] = []
        if wanted.every is not None:
            conditions.append(self._has_every(wanted.every))
        if wanted.some is not None:
            conditions.append(self._has(wanted.some))
        if wanted.not_every is not None:
            conditions.append(sa.not_(self._has_every(wanted.not_every)))
        if wanted.not_some is not None:
            conditions.append(sa.not_(self._has(wanted.not_some)))
        return conditions

    def _has_every(self, words: tuple[str, ...]) -> Expression:
        """Count them: a condition for each word would be planned for minutes if they are many."""
        wanted = frozenset(words)
        mine = self._carried(sa.select(sa.func.count()).select_from(tag), wanted)
        return mine.scalar_subquery() == len(wanted)

    def _has(self, words: tuple[str, ...]) -> Expression:
        return self._carried(sa.select(tag.c.value), words).exists()

    def _carried(self, statement: sa.Select[Any], words: Collection[str]) -> sa.Select[Any]:
        table = self._source.table
        mine = statement.where(tag.c.object_id == table.c.id, tag.c.value.in_(words))
        return mine.correlate(table)

    def _order(self, sort: Sequence[tuple[str, bool]]) -> list[tuple[Expression, bool]]:
        asked = dict(reversed(sort))
        for name in asked:
            if name not in self._columns:
                raise InvalidInput(f"Supplied sort key '{name}' is not valid.", routed=True)
        keys = {name: asked[name] for name, _ in sort}
        keys |= {name: False for name in ("created_at", "id") if name not in keys}
        return [(_comparable(self._columns[name]), down) for name, down in keys.items()]

    def _beyond(
        self, connection: Connection, query: PageQuery, order: list[tuple[Expression, bool]]
    ) -> Expression:
        table = self._source.table
        wanted = [table.c.id == query.marker, self._source.seen, *self._scoped(query)]
        found = connection.execute(sa.select(*(e for e, _ in order)).where(*wanted)).first()
        if found is None:
            raise InvalidInput(
                f"Supplied pagination marker '{query.marker}' is not valid.", routed=True
            )
        beyond: Expression = sa.false()
        for (expression, down), value in reversed(list(zip(order, found, strict=True))):
            bound = sa.literal(value, expression.type)
            ahead = expression < bound if down is not query.reverse else expression > bound
            beyond = sa.or_(ahead, sa.and_(expression == bound, beyond))
        return beyond


_EPOCH = datetime.datetime(1970, 1, 1)


def _comparable(column: Expression) -> Expression:
    if isinstance(column.type, sa.Boolean):
        column = sa.cast(column, sa.Integer)
    if not getattr(column, "nullable", False):
        return column
    least: Any = _EPOCH if isinstance(column.type, sa.DateTime) else ""
    if isinstance(column.type, (sa.Integer, sa.Float)):
        least = -1
    return sa.func.coalesce(column, sa.literal(least, column.type), type_=column.type)


def _value(type_: Any, text: str) -> Any:
    """Return a filter's text as a value of the column, None if no row can have it."""
    if isinstance(type_, sa.Boolean):
        return text.strip().lower() in TRUE
    try:
        if isinstance(type_, sa.Integer):
            number = int(text)
            return number if -(2**31) <= number < 2**31 else None
        if isinstance(type_, sa.Float):
            return float(text) if math.isfinite(float(text)) else None
        if isinstance(type_, sa.DateTime):
            return datetime.datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None
    return text
