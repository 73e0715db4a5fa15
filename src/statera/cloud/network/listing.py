"""List queries: filters, sorting, pages and field selection, as SQL over declared columns."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from statera.cloud.network import errors, values

Filter = Callable[[Sequence[str]], "sa.ColumnElement[bool]"]
"""Makes the condition of one filter from its values; raises `ValueError` with the reason."""
Columns = Mapping[str, "sa.ColumnElement[Any]"]

_RESERVED = frozenset({"fields", "sort_key", "sort_dir", "limit", "marker"})
_LARGEST = 2**63 - 1
_MOST_VALUES = 500
"""Values of one filter.  SQLite takes no expression deeper than 1,000."""


@dataclass(frozen=True, slots=True)
class Query:
    """The query string of a list, as name → values in their order."""

    parameters: Mapping[str, Sequence[str]]

    @property
    def fields(self) -> frozenset[str]:
        """Return the wanted fields; empty means all."""
        return frozenset(name for name in self.parameters.get("fields", ()) if name)

    @property
    def marker(self) -> str | None:
        """Return the id behind which the page begins."""
        return self._single("marker") or None

    def limit(self, most: int) -> int:
        """Return how many objects the page may have, `most` at the most."""
        given = self._single("limit")
        if given is None:
            return most
        try:
            wanted: int = values.integer(0, _LARGEST)(given)
        except ValueError as error:
            raise errors.HTTPBadRequest(f"Invalid input for limit. Reason: {error}") from None
        return min(wanted, most) if wanted else most

    def order(self, columns: Columns) -> list[tuple[sa.ColumnElement[Any], bool]]:
        """Return (column, descending) in order; the id comes last, so that the order is total."""
        keys = self.parameters.get("sort_key", ())
        directions = self.parameters.get("sort_dir", ())
        if len(keys) < len(directions):
            raise errors.HTTPBadRequest("The number of sort_keys and sort_dirs must be same")
        found: dict[str, tuple[sa.ColumnElement[Any], bool]] = {}
        for position, key in enumerate(keys):
            direction = directions[position] if position < len(directions) else "asc"
            if key not in columns:
                raise errors.HTTPBadRequest(f"{key!r} is an invalid attribute for sort key")
            if direction not in {"asc", "desc"}:
                raise errors.HTTPBadRequest("The value of sort_dir must be 'asc' or 'desc'")
            # A repeated key decides nothing any more, and would make the condition of `after` grow
            # with the square of the query.
            found.setdefault(key, (columns[key], direction == "desc"))
        found.setdefault("id", (columns["id"], False))
        return list(found.values())

    def conditions(
        self, columns: Columns, special: Mapping[str, Filter]
    ) -> list[sa.ColumnElement[bool]]:
        """Return a condition per filter; one value of a repeated filter suffices."""
        found = []
        for name, wanted in self.parameters.items():
            if name in _RESERVED:
                continue
            if name not in special and name not in columns:
                raise errors.HTTPBadRequest(f"['{name[:80]}'] is invalid attribute for filtering")
            try:
                if len(wanted) > _MOST_VALUES:
                    raise ValueError(f"more than {_MOST_VALUES} values.")
                if name in special:
                    found.append(special[name](wanted))
                else:
                    found.append(_matches(columns[name], wanted))
            except (ValueError, OverflowError) as error:
                raise errors.HTTPBadRequest(f"Invalid input for {name}. Reason: {error}") from None
        return found

    def _single(self, name: str) -> str | None:
        given = self.parameters.get(name, ())
        return given[-1] if given else None


def after(
    order: Sequence[tuple[sa.ColumnElement[Any], bool]], last: Sequence[Any]
) -> sa.ColumnElement[bool]:
    """Return the condition for rows behind the one with the values `last` in this order."""
    ladder = []
    for step, ((column, descending), value) in enumerate(zip(order, last, strict=True)):
        # As a bound value, because SQLAlchemy compares a constant True or False with `=` alone.
        bound = sa.literal(value, column.type)
        behind = column < bound if descending else column > bound
        equal = [order[before][0] == last[before] for before in range(step)]
        ladder.append(sa.and_(*equal, behind))
    return sa.or_(*ladder)


def _matches(column: sa.ColumnElement[Any], wanted: Sequence[str]) -> sa.ColumnElement[bool]:
    if isinstance(column.type, sa.Boolean):
        return column.in_({values.flag(item) for item in wanted})
    if isinstance(column.type, sa.Integer):
        # PostgreSQL refuses a number outside the type that it is said to have.
        numbers = {values.integer(0, _LARGEST)(item) for item in wanted}
        return column.in_([sa.literal(number, sa.BigInteger()) for number in numbers])
    if isinstance(column.type, sa.DateTime):
        return sa.or_(*(_second(column, item) for item in wanted))
    return column.in_({storable(item) for item in wanted})


def constant(value: bool) -> Filter:
    """Return the filter of a boolean attribute that every object has with the same value."""

    def condition(wanted: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.true() if value in {values.flag(item) for item in wanted} else sa.false()

    return condition


def _second(column: sa.ColumnElement[Any], wanted: str) -> sa.ColumnElement[bool]:
    """Times are shown in whole seconds, so a time stands for its second."""
    start = datetime.datetime.fromisoformat(wanted)
    if start.tzinfo is not None:
        start = start.astimezone(datetime.UTC).replace(tzinfo=None)
    return sa.and_(column >= start, column < start + datetime.timedelta(seconds=1))


def storable(value: str) -> str:
    """Return the text of a filter; no column holds NUL, and PostgreSQL refuses to compare it."""
    if "\0" in value:
        raise ValueError("control characters are not allowed.")
    return value
