"""The declaration mechanism: what an attribute of a resource is, said once.

A resource is a struct whose annotations carry an `Attr`:

    class Pool(Resource, frozen=True, kw_only=True):
        info = Info(root="pool", plural="pools", argument="pool_", title="Pool")
        name: Annotated[str, Attr(Text(), "Name for people", update=True, default="")] = ""

From it come request validation with the API's exact texts (`lb.reading`), the keys of
replies (`attributes`), filters and sort keys, the JSON Schema, and the test that the table in
`store/` has the column.  Annotations without `Attr` are internal.

Attributes that the data plane acts on stand in a `Carried` part of their own, which the resource
holds and the agent's document inherits: they reach `render` without being named again.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, get_type_hints

import msgspec

from statera.lb.errors import InvalidInput
from statera.lb.kinds import Kind, Schema

T = TypeVar("T")
P = ParamSpec("P")


def once(function: Callable[P, T]) -> Callable[P, T]:
    """Cache a function of classes for good (`functools.cache`, which types no class)."""
    return functools.cache(function)  # type: ignore[return-value]


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
    RESET = "reset"
    """What `Attr.reset` names is stored."""
    ABSENT = "absent"
    """As if the key were not there."""
    FALSE = "false"
    """False is stored."""
    REFUSE = "refuse"
    """400."""


CLEAR, DEFAULT, RESET, ABSENT, FALSE, REFUSE = (
    Null.CLEAR,
    Null.DEFAULT,
    Null.RESET,
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
    (None: as `create`).  `reset`: what null restores where that differs from the default.
    `stored`: a column of the table has its name.  `shown`: replies carry it.
    `blank`: null is shown as an empty string; `null_when_empty`: an empty list as null.
    `omitted`: null is not shown at all.
    `filtered`: usable as a list filter and sort key.
    """

    kind: Kind
    doc: str
    create: Accept = OPTIONAL
    update: bool = False
    tree: Accept | None = None
    default: Any = None
    reset: Any = None
    null_on_create: Null = CLEAR
    null_on_update: Null = CLEAR
    since: str = "2.0"
    stored: bool = True
    shown: bool = True
    blank: bool = False
    null_when_empty: bool = False
    omitted: bool = False
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


@once
def attributes(declared: type[Any]) -> Mapping[str, Attr]:
    """Return the declared attributes of a resource class in order of declaration.

    Those of a `Carried` part stand where the part does.
    """
    found: dict[str, Attr] = {}
    for name, hint in get_type_hints(declared, include_extras=True).items():
        if is_carried(hint):
            found |= attributes(hint)
        for mark in getattr(hint, "__metadata__", ()):
            if isinstance(mark, Attr):
                found[name] = mark
    return found


def stored(declared: type[Any]) -> tuple[str, ...]:
    """Return the attributes that the table of the class has a column for."""
    return tuple(name for name, attr in attributes(declared).items() if attr.stored)


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


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """Attributes of a resource that its document carries as they are.

    Every field has a default: what a document written before the field existed means.
    """


def is_carried(hint: object) -> bool:
    """Say whether a type is a `Carried` part."""
    return isinstance(hint, type) and issubclass(hint, Carried)


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


R = TypeVar("R", bound=msgspec.Struct)


def made(declared: type[R], row: Mapping[Any, Any], **more: Any) -> R:
    """Return a row (column -> value) as an object: the columns that the class has a field for.

    In a `Carried` part null means the field's default.
    """
    plain, parts = _fields(declared)
    values = {name: row[name] for name in plain if name in row}
    for part, (kind, names) in parts.items():
        carried = {name: row[name] for name in names if row.get(name) is not None}
        values[part] = msgspec.convert(carried, kind)
    return declared(**values, **more)


@once
def _fields(
    declared: type[Any],
) -> tuple[tuple[str, ...], dict[str, tuple[type[Any], tuple[str, ...]]]]:
    """Return the plain fields of a struct, and the fields of each of its `Carried` parts."""
    hints = get_type_hints(declared)
    names = declared.__struct_fields__
    parts = {name: hints[name] for name in names if is_carried(hints[name])}
    return (
        tuple(name for name in names if name not in parts),
        {name: (kind, kind.__struct_fields__) for name, kind in parts.items()},
    )


def reply_of(declared: type[Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reply object of a resource; `row` holds a value for every shown attribute."""
    shape = _shape(declared)
    reply = {name: row[name] for name in shape.shown}
    for name in shape.blank:
        if reply[name] is None:
            reply[name] = ""
    for name in shape.null_when_empty:
        if not reply[name]:
            reply[name] = None
    for name in shape.omitted:
        if reply[name] is None:
            del reply[name]
    if "project_id" in reply:
        reply["tenant_id"] = reply["project_id"]
    return reply


@dataclass(frozen=True, slots=True)
class _Shape:
    shown: tuple[str, ...]
    blank: tuple[str, ...]
    null_when_empty: tuple[str, ...]
    omitted: tuple[str, ...]


@once
def _shape(declared: type[Any]) -> _Shape:
    shown = {name: attr for name, attr in attributes(declared).items() if attr.shown}
    return _Shape(
        tuple(shown),
        tuple(name for name, attr in shown.items() if attr.blank),
        tuple(name for name, attr in shown.items() if attr.null_when_empty),
        tuple(name for name, attr in shown.items() if attr.omitted),
    )
