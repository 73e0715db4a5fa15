"""Reading requests: from a JSON body to values by attribute name, in the API's words.

The first error in order of declaration wins, as clients see it from Octavia.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from statera.lb.declare import (
    CLEAR,
    DEFAULT,
    FALSE,
    NO,
    REFUSE,
    REQUIRED,
    RESET,
    Attr,
    Configured,
    Info,
    Null,
    Part,
    attributes,
    once,
)
from statera.lb.errors import InvalidInput
from statera.lb.kinds import UnparsableError

T = TypeVar("T")

NONE: frozenset[str] = frozenset()


class Values(dict[str, Any]):
    """Values by attribute name; `given` are the keys that the request itself named."""

    __slots__ = ("given",)

    def __init__(
        self, values: Mapping[str, Any] = MappingProxyType({}), given: Set[str] = NONE
    ) -> None:
        super().__init__(values)
        self.given: Set[str] = given


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads request bodies of one resource class.

    `defaults` are the configured ones, by option name.  Everything raised is `InvalidInput`.
    """

    declared: type[Any]
    info: Info
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def create(self, body: object) -> Values:
        """Return the values of a POST body by attribute name, defaults included."""

        def read(path: str, inner: dict[str, object]) -> Values:
            return read_creation(self.declared, inner, _Place(path, self.defaults))

        return self._read(body, read)

    def update(self, body: object) -> Values:
        """Return the values that a PUT body changes."""

        def read(path: str, inner: dict[str, object]) -> Values:
            return read_change(self.declared, inner, _Place(path, self.defaults))

        return self._read(body, read)

    def batch(self, body: object) -> list[Values]:
        """Return the values of each object of a batch body (`{plural: [...]}`)."""
        argument = self.info.plural + "_"
        place = _Place(f"{argument}.{self.info.plural}", self.defaults)
        items = unwrap(body, self.info.plural, argument)
        checked = Part(lambda: self.declared, many=True).parse(self.info.plural, items)
        return _blaming(
            argument, body, lambda: [read_creation(self.declared, item, place) for item in checked]
        )

    def _read(self, body: object, read: Callable[[str, dict[str, object]], Values]) -> Values:
        argument = self.info.argument
        inner = unwrap(body, self.info.root, argument)
        if not isinstance(inner, dict):
            raise InvalidInput.attribute(argument, body, f"Value not a valid dict: {inner}")
        return _blaming(argument, body, lambda: read(f"{argument}.{self.info.root}", inner))


def unwrap(body: object, root: str, argument: str) -> Any:
    """Return what stands under the root key of a body; refuse a body that is anything else."""
    if not isinstance(body, dict):
        raise InvalidInput.attribute(argument, body, f"Value not a valid dict: {body}")
    refuse_unknown(argument, body, {root})
    if body.get(root) is None:
        raise InvalidInput.attribute(root, None, "Mandatory field missing.")
    return body[root]


def _blaming(argument: str, body: object, read: Callable[[], T]) -> T:
    try:
        return read()
    except UnparsableError as error:
        raise InvalidInput.attribute(argument, body, str(error)) from None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a body we are: the path for messages, the configured defaults, in a tree or not."""

    path: str
    defaults: Mapping[str, Any]
    tree: bool = False

    def below(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}", self.defaults, tree=True)


@dataclass(frozen=True, slots=True)
class _Slot:
    """One attribute as one use of the class takes it."""

    name: str
    attr: Attr
    required: bool
    null: Null
    plain: Callable[[str, object], Any] | None
    """Parses a value by itself; None for the objects within."""

    def take(self, values: Values, value: object, place: _Place) -> None:
        """Put the value of a request into `values`."""
        if value is not None:
            kind = self.attr.kind
            if isinstance(kind, Part):
                values[self.name] = _part(self.name, kind, value, place)
            else:
                values[self.name] = kind.parse(self.name, value)
        elif self.null is CLEAR:
            values[self.name] = None
        elif self.null is DEFAULT:
            values[self.name] = default_of(self.attr.default, place.defaults)
        elif self.null is RESET:
            values[self.name] = default_of(self.attr.reset, place.defaults)
        elif self.null is FALSE:
            values[self.name] = False
        elif self.null is REFUSE:
            raise InvalidInput(f"None is not a valid option for {self.name}")


@dataclass(frozen=True, slots=True)
class _Form:
    """What one use of a class takes, worked out once.

    `constants` are the defaults that can be shared, `fresh` those that are configured or mutable.
    """

    slots: tuple[_Slot, ...]
    known: frozenset[str]
    constants: Mapping[str, Any]
    fresh: tuple[tuple[str, Any], ...]
    has_project: bool


@once
def _form(declared: type[Any], use: str) -> _Form:
    slots = []
    for name, attr in attributes(declared).items():
        accepted = attr.accepted(tree=use == "tree")
        if attr.update if use == "update" else accepted is not NO:
            null = attr.null_on_update if use == "update" else attr.null_on_create
            plain = None if isinstance(attr.kind, Part) else attr.kind.parse
            slots.append(_Slot(name, attr, use != "update" and accepted is REQUIRED, null, plain))
    defaults = {slot.name: slot.attr.default for slot in slots}
    fresh = {n: d for n, d in defaults.items() if isinstance(d, (Configured, list, dict))}
    has_project = "project_id" in defaults
    return _Form(
        slots=tuple(slots),
        known=frozenset(defaults) | ({"tenant_id"} if has_project else NONE),
        constants={n: d for n, d in defaults.items() if n not in fresh},
        fresh=tuple(fresh.items()),
        has_project=has_project,
    )


def read_creation(declared: type[Any], given: Mapping[str, object], place: _Place) -> Values:
    """Return the values of a creation of `declared`, defaults included."""
    form = _form(declared, "tree" if place.tree else "create")
    if not given.keys() <= form.known:
        refuse_unknown(place.path, given, form.known)
    if form.has_project and given.get("tenant_id") is not None:
        given = {**given, "project_id": given["tenant_id"]}
    values = Values(form.constants, frozenset(given))
    for name, default in form.fresh:
        values[name] = default_of(default, place.defaults)
    for slot in form.slots:
        name = slot.name
        if name in given:
            value = given[name]
            if value is None and slot.required:
                raise InvalidInput.attribute(name, None, "Mandatory field missing.")
            if value is None or slot.plain is None:
                slot.take(values, value, place)
            else:
                values[name] = slot.plain(name, value)
        elif slot.required:
            raise InvalidInput.attribute(name, None, "Mandatory field missing.")
    return values


def read_change(declared: type[Any], given: Mapping[str, object], place: _Place) -> Values:
    """Return the values that a change of `declared` names."""
    form = _form(declared, "update")
    if not given.keys() <= form.known:
        refuse_unknown(place.path, given, form.known)
    values = Values(given=frozenset(given))
    for slot in form.slots:
        if slot.name in given:
            slot.take(values, given[slot.name], place)
    return values


def refuse_unknown(path: str, given: Mapping[str, object], known: Set[str]) -> None:
    """Raise `InvalidInput` naming the keys that are not known."""
    extra = given.keys() - known
    if extra:
        raise InvalidInput(f"Unknown attribute for argument {path}: {', '.join(sorted(extra))}")


def default_of(default: Any, defaults: Mapping[str, Any]) -> Any:
    """Return a declared default; lists and objects are fresh copies."""
    if isinstance(default, Configured):
        default = defaults[default.name]
    return default.copy() if isinstance(default, (list, dict)) else default


def _part(name: str, kind: Part, value: object, place: _Place) -> Any:
    parsed = kind.parse(name, value)
    below = place.below(name)
    if kind.many:
        return [read_creation(kind.declared(), item, below) for item in parsed]
    return read_creation(kind.declared(), parsed, below)
