"""How a JSON value becomes a value, with the API's own words when it does not.

Each kind knows one type of attribute: `parse` returns the canonical Python value or raises,
`schema` describes it as JSON Schema.  Leniency and texts are Octavia's: clients depend on both.
"""

from __future__ import annotations

import contextlib
import ipaddress
import math
import re
import uuid
from dataclasses import dataclass
from typing import Any, Protocol

from statera.lb.errors import InvalidInput

Schema = dict[str, Any]


class UnparsableError(Exception):
    """The value is not of the type at all; the API blames the whole argument for it."""


class Kind(Protocol):
    """One type of attribute."""

    def parse(self, name: str, value: object) -> Any:
        """Return the canonical value of the JSON value `value` (never null) of attribute `name`.

        Raise `InvalidInput`, or `UnparsableError` for what the API blames on the whole argument.
        """
        ...

    def schema(self) -> Schema:
        """Return the JSON Schema of accepted values."""
        ...


def _string(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput.attribute(name, value, "Value should be string")
    if "\x00" in value:
        # no database of ours can hold it, and no field can mean it
        raise InvalidInput.attribute(name, value, "Value should not contain NUL characters")
    return value


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `longest` characters, optionally matching `pattern` (else `refusal`)."""

    longest: int = 255
    shortest: int = 0
    pattern: re.Pattern[str] | None = None
    refusal: str = "Value should match the pattern"

    def parse(self, name: str, value: object) -> str:
        """Return the string."""
        text = _string(name, value)
        if len(text) > self.longest:
            limit = f"Value should have a maximum character requirement of {self.longest}"
            raise InvalidInput.attribute(name, value, limit)
        if len(text) < self.shortest:
            limit = f"Value should have a minimum character requirement of {self.shortest}"
            raise InvalidInput.attribute(name, value, limit)
        if self.pattern and not self.pattern.search(text):
            raise InvalidInput.attribute(name, value, self.refusal)
        return text

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        schema: Schema = {"type": "string", "maxLength": self.longest}
        if self.shortest:
            schema["minLength"] = self.shortest
        if self.pattern:
            schema["pattern"] = self.pattern.pattern
        return schema


_USUAL_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return text.isascii() and len(text) <= 36  # what the column holds


@dataclass(frozen=True, slots=True)
class Uuid:
    """A UUID in any RFC 4122 layout, stored as given."""

    def parse(self, name: str, value: object) -> str:
        """Return the text as given."""
        if isinstance(value, str) and (_USUAL_UUID(value) or _is_uuid(value)):
            return value
        raise InvalidInput.attribute(name, value, "Value should be UUID format")

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "format": "uuid"}


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds; numeric strings, floats (truncated) and booleans are taken.

    Without bounds of its own it is what every database and every engine can hold.
    """

    least: int = -(2**31)
    most: int = 2**31 - 1

    def parse(self, name: str, value: object) -> int:
        """Return the number."""
        if not isinstance(value, (int, float, str)):
            raise UnparsableError(f"Value not a valid integer: {value}")
        try:
            number = int(value)
        except (ValueError, OverflowError):
            raise UnparsableError(f"invalid literal for int() with base 10: '{value}'") from None
        if number < self.least:
            limit = f"Value should be greater or equal to {self.least}"
            raise InvalidInput.attribute(name, value, limit)
        if number > self.most:
            limit = f"Value should be lower or equal to {self.most}"
            raise InvalidInput.attribute(name, value, limit)
        return number

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


@dataclass(frozen=True, slots=True)
class Boolean:
    """A boolean, a number or an unambiguous string."""

    def parse(self, name: str, value: object) -> bool:
        """Return the boolean."""
        if isinstance(value, (bool, int, float)):
            return bool(value)
        word = value.strip().lower() if isinstance(value, str) else None
        if word in TRUE:
            return True
        if word in FALSE:
            return False
        detail = f"Value not an unambiguous boolean: {value}"
        raise InvalidInput.attribute(name, value, detail)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Exactly one of some strings, case-sensitive."""

    values: tuple[str, ...]

    def parse(self, name: str, value: object) -> str:
        """Return the member."""
        if isinstance(value, str) and value in self.values:
            return value
        detail = f"Value should be one of: {', '.join(self.values)}"
        raise InvalidInput.attribute(name, value, detail)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Number:
    """One of some numbers; a numeric string is taken too."""

    values: tuple[float, ...]

    def parse(self, name: str, value: object) -> float:
        """Return the number as declared."""
        try:
            number = float(value) if isinstance(value, (int, float, str)) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        for candidate in self.values:
            if candidate == number and not isinstance(value, bool):
                return candidate
        detail = f"Value should be one of: {', '.join(map(str, self.values))}"
        raise InvalidInput.attribute(name, value, detail)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "number", "enum": list(self.values)}


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_USUAL_ADDRESS = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}").fullmatch


def _is_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not getattr(address, "scope_id", None)


@dataclass(frozen=True, slots=True)
class Address:
    """An IPv4 or IPv6 literal, stored and echoed as sent."""

    def parse(self, name: str, value: object) -> str:
        """Return the text as given."""
        if isinstance(value, str) and (_USUAL_ADDRESS(value) or _is_address(value)):
            return value
        raise InvalidInput.attribute(name, value, "Value should be IPv4 or IPv6 format")

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}


@dataclass(frozen=True, slots=True)
class Cidr:
    """An IPv4 or IPv6 network; host bits are masked off, a bare address gets its full length."""

    def parse(self, name: str, value: object) -> str:
        """Return the network in canonical form."""
        # a zone ("%eth0") may hold anything, and means nothing on another machine
        if isinstance(value, str) and "%" not in value:
            with contextlib.suppress(ValueError):
                return str(ipaddress.ip_network(value, strict=False))
        detail = "Value should be IPv4 or IPv6 CIDR format"
        raise InvalidInput.attribute(name, value, detail)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A JSON array of one kind; `unique` drops repetitions.

    `refusal` is what the API says about the whole list when an item is not of the kind.
    """

    item: Kind
    unique: bool = False
    refusal: str | None = None

    def parse(self, name: str, value: object) -> list[Any]:
        """Return the list of parsed items."""
        if not isinstance(value, list):
            raise InvalidInput.attribute(name, value, f"Value not a valid list: {value}")
        try:
            items = [self.item.parse(name, _present(name, item)) for item in value]
        except InvalidInput:
            if self.refusal is None:
                raise
            raise InvalidInput.attribute(name, value, self.refusal) from None
        return list(dict.fromkeys(items)) if self.unique else items

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "array", "items": self.item.schema()}


def _present(name: str, item: object) -> object:
    if item is None:
        raise InvalidInput.attribute(name, item, "Value should not be null")
    return item


@dataclass(frozen=True, slots=True)
class Strings:
    """A JSON object whose values are strings."""

    longest: int = 255

    def parse(self, name: str, value: object) -> dict[str, str]:
        """Return the mapping."""
        if not isinstance(value, dict):
            raise InvalidInput.attribute(name, value, f"Value not a valid dict: {value}")
        kind = Text(self.longest)
        return {_string(name, key): kind.parse(name, item) for key, item in value.items()}

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """A value that only replies carry, described by its JSON Schema `type` and `format`."""

    type: str
    format: str | None = None

    def parse(self, name: str, value: object) -> Any:
        """Refuse: no request carries it."""
        raise InvalidInput.attribute(name, value, "Value is read-only")

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        if self.type == "references":
            identity = {"type": "string", "format": "uuid"}
            return {
                "type": "array",
                "items": {"type": "object", "properties": {"id": identity}},
            }
        return {"type": self.type} | ({"format": self.format} if self.format else {})


IDENTITY = ReadOnly("string", "uuid")
TIMESTAMP = ReadOnly("string", "date-time")
WORD = ReadOnly("string")
REFERENCES = ReadOnly("references")
"""A list of `{"id": …}`."""
