"""The declaration mechanism: what an attribute of a resource is, said once.

A resource is a struct whose annotations carry an `Attr`:

    class Pool(Resource, frozen=True, kw_only=True):
        info = Info(root="pool", plural="pools", argument="pool_", title="Pool")
        name: Annotated[str, Attr(Text(), "Name for people", update=True, default="")] = ""

From it come request validation with the API's exact texts (`Reader`), the keys of
replies (`attributes`), filters and sort keys, the JSON Schema, and the test that the table in
`store/` has the column.  Annotations without `Attr` are internal.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

import msgspec

from statera.lb.errors import InvalidInput
from statera.lb.kinds import Kind, Schema, UnparsableError

T = TypeVar("T")


class Accept(enum.Enum):
    """Whether a request may carry the attribute."""

    NO = "no"
    OPTIONAL = "optional"
    REQUIRED = "required"


NO, OPTIONAL, REQUIRED = Accept.NO, Accept.OPTIONAL, Accept.REQUIRED


class Null(enum.Enum):
    """What an explicit JSON null does."""

    CLEAR = "clear"
    """Null is stored."""
    DEFAULT = "default"
    """The default is stored."""
    ABSENT = "absent"
    """As if the key were not there."""
    FALSE = "false"
    """False is stored."""
    REFUSE = "refuse"
    """400."""


CLEAR, DEFAULT, ABSENT, FALSE, REFUSE = (
    Null.CLEAR,
    Null.DEFAULT,
    Null.ABSENT,
    Null.FALSE,
    Null.REFUSE,
)


@dataclass(frozen=True, slots=True)
class Configured:
    """A default that the installation's configuration gives; `name` is the option."""

    name: str


@dataclass(frozen=True, slots=True)
class Attr:
    """One attribute of a resource.

    `create` and `update`: do POST and PUT take it; `tree`: does a single-call creation take it
    (None: as `create`).  `stored`: a column of the table has its name.  `shown`: replies carry it.
    `blank`: null is shown as an empty string; `null_when_empty`: an empty list as null.
    `filtered`: usable as a list filter and sort key.
    """

    kind: Kind
    doc: str
    create: Accept = OPTIONAL
    update: bool = False
    tree: Accept | None = None
    default: Any = None
    null_on_create: Null = CLEAR
    null_on_update: Null = CLEAR
    since: str = "2.0"
    stored: bool = True
    shown: bool = True
    blank: bool = False
    null_when_empty: bool = False
    filtered: bool = True

    def accepted(self, *, tree: bool) -> Accept:
        """Return whether a creation takes the attribute."""
        return self.tree if tree and self.tree is not None else self.create


def output(kind: Kind, doc: str, **options: Any) -> Attr:
    """Declare an attribute that only replies carry."""
    return Attr(kind, doc, create=NO, **options)


def related(kind: Kind, doc: str, **options: Any) -> Attr:
    """Declare an attribute that is derived from other objects: only in replies, no column."""
    return Attr(kind, doc, create=NO, stored=False, filtered=False, **options)


@dataclass(frozen=True, slots=True)
class Info:
    """Names of a resource: root keys of bodies, the argument in messages, the title in texts."""

    root: str
    plural: str
    argument: str
    title: str


def attributes(declared: type[Any]) -> Mapping[str, Attr]:
    """Return the declared attributes of a resource class in order of declaration."""
    known = _known.get(declared)
    if known is None:
        hints = get_type_hints(declared, include_extras=True)
        known = _known[declared] = {
            name: mark
            for name, hint in hints.items()
            for mark in getattr(hint, "__metadata__", ())
            if isinstance(mark, Attr)
        }
    return known


_known: dict[type[Any], Mapping[str, Attr]] = {}


class Values(dict[str, Any]):
    """Values by attribute name; `given` are the keys that the request itself named."""

    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """A kind: one object, or a list of objects, of another declared class inside a request.

    `declared` is called late, because the parts of a tree refer to each other.
    """

    declared: Callable[[], type[Any]]
    many: bool = False

    def parse(self, name: str, value: object) -> Any:
        """Refuse a value that is no object (or list): its attributes are read with their path."""
        if self.many and not isinstance(value, list):
            raise InvalidInput.attribute(name, value, f"Value not a valid list: {value}")
        for item in value if isinstance(value, list) and self.many else [value]:
            if not isinstance(item, dict):
                raise InvalidInput.attribute(name, item, f"Value not a valid dict: {item}")
        return value

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        schema = schema_of(self.declared(), use="tree")
        return {"type": "array", "items": schema} if self.many else schema


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


def read_creation(declared: type[Any], given: Mapping[str, object], place: _Place) -> Values:
    """Return the values of a creation of `declared`, defaults included."""
    accepted = {n: a.accepted(tree=place.tree) for n, a in attributes(declared).items()}
    known = {name for name, accept in accepted.items() if accept is not NO}
    alias = {"tenant_id"} if "project_id" in known else set()
    refuse_unknown(place.path, given, known | alias)
    values = Values()
    values.given = frozenset(given)
    if given.get("tenant_id") is not None:
        given = {**given, "project_id": given["tenant_id"]}
    for name, attr in attributes(declared).items():
        if name not in known:
            continue
        if accepted[name] is REQUIRED and given.get(name) is None:
            raise InvalidInput.attribute(name, None, "Mandatory field missing.")
        if name in given:
            _take(values, name, attr, given[name], place, attr.null_on_create)
        if name not in values:
            values[name] = default_of(attr, place.defaults)
    return values


def read_change(declared: type[Any], given: Mapping[str, object], place: _Place) -> Values:
    """Return the values that a change of `declared` names."""
    known = {name: attr for name, attr in attributes(declared).items() if attr.update}
    refuse_unknown(place.path, given, known.keys())
    values = Values()
    values.given = frozenset(given)
    for name, attr in known.items():
        if name in given:
            _take(values, name, attr, given[name], place, attr.null_on_update)
    return values


def refuse_unknown(path: str, given: Mapping[str, object], known: Set[str]) -> None:
    """Raise `InvalidInput` naming the keys that are not known."""
    extra = given.keys() - known
    if extra:
        raise InvalidInput(f"Unknown attribute for argument {path}: {', '.join(sorted(extra))}")


def default_of(attr: Attr, defaults: Mapping[str, Any]) -> Any:
    """Return the default of an attribute; lists and objects are fresh copies."""
    default = attr.default
    if isinstance(default, Configured):
        return defaults[default.name]
    return default.copy() if isinstance(default, (list, dict)) else default


def _take(values: Values, name: str, attr: Attr, value: object, place: _Place, null: Null) -> None:
    if value is not None:
        values[name] = _parsed(name, attr.kind, value, place)
    elif null is CLEAR:
        values[name] = None
    elif null is DEFAULT:
        values[name] = default_of(attr, place.defaults)
    elif null is FALSE:
        values[name] = False
    elif null is REFUSE:
        raise InvalidInput(f"None is not a valid option for {name}")


def _parsed(name: str, kind: Kind, value: object, place: _Place) -> Any:
    parsed = kind.parse(name, value)
    if not isinstance(kind, Part):
        return parsed
    below = place.below(name)
    if kind.many:
        return [read_creation(kind.declared(), item, below) for item in parsed]
    return read_creation(kind.declared(), parsed, below)


def schema_of(declared: type[Any], *, use: str) -> Schema:
    """Return the JSON Schema of a resource; `use` is `create`, `update`, `tree` or `reply`."""
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for name, attr in attributes(declared).items():
        accepted = attr.accepted(tree=use == "tree")
        carried = {
            "create": accepted is not NO,
            "tree": accepted is not NO,
            "update": attr.update,
            "reply": attr.shown,
        }
        if not carried[use]:
            continue
        schema = {**attr.kind.schema(), "description": f"{attr.doc}. Since API {attr.since}."}
        properties[name] = schema
        if use in ("create", "tree") and accepted is REQUIRED:
            required.append(name)
    schema = {"type": "object", "properties": properties, "additionalProperties": use == "reply"}
    return {**schema, "required": required} if required else schema


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """What every object of the API has in the store beside its attributes (design §4)."""

    generation: int = 0
    """The load balancer's generation that this row waits for."""
    changed: int = 0
    """Generation of the last change of its own attributes (the ETag)."""
    born: int = 0
    """Generation at which it was created."""
    settled: int = 0
    """Highest generation of it known to be in force."""
    pending_since: float | None = None
    """When the oldest wish not yet in force was made (seconds since 1970)."""
    live: int | None = 1
    """1, or None once it is doomed."""
    fault: str | None = None
    fault_generation: int | None = None


def reply_of(declared: type[Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reply object of a resource; `row` holds a value for every shown attribute."""
    reply: dict[str, Any] = {}
    for name, attr in attributes(declared).items():
        if not attr.shown:
            continue
        value = row[name]
        if value is None and attr.blank:
            value = ""
        elif attr.null_when_empty and not value:
            value = None
        reply[name] = value
        if name == "project_id":
            reply["tenant_id"] = value
    return reply
