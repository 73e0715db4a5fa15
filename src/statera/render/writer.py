"""The one writer of HAProxy configuration text.

Values of users reach a configuration file only through here: a value is quoted when it needs to be,
anything that is not printable (so every line break) is refused, and each line remembers the object
that asked for it, so that what the engine refuses can be traced back (`lb.errors`: `Unrenderable`).
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import NamedTuple

from statera.lb.errors import Final

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@,=+*%!<>|~^&?()\[\]-]+")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Owner(NamedTuple):
    """The object that a line belongs to; `object_type` as in `spec.report.Fault`."""

    object_type: str
    object_id: str


class Unrenderable(Final):
    """A value of `owner` cannot be written: only a new wish can change that."""

    def __init__(self, owner: Owner, text: str) -> None:
        super().__init__(text)
        self.owner = owner


class Writer:
    """Collects lines, each with its owner.

    Lines handed in are made of our own keywords and of values that went through `quote`, `name`,
    `endpoint` or `network`; the control characters are refused for the whole line.
    """

    def __init__(self, owner: Owner) -> None:
        self._lines: list[str] = []
        self._owners: list[Owner] = []
        self.owner = owner

    def section(self, text: str, owner: Owner) -> None:
        """Begin a section; its lines belong to `owner` until somebody else sets `self.owner`."""
        self.owner = owner
        if self._lines:
            self._add("")
        self._add(text)

    def line(self, text: str) -> None:
        """Add a line to the section."""
        self._lines.append("    " + text)
        self._owners.append(self.owner)

    def _add(self, text: str) -> None:
        self._lines.append(text)
        self._owners.append(self.owner)

    def text(self) -> str:
        """Return the file; raise `Unrenderable` for a line with anything that is not printable."""
        # One look at everything costs a tenth of a look at each line.
        if not "".join(self._lines).isprintable():
            for line, owner in zip(self._lines, self._owners, strict=True):
                if not line.isprintable():
                    raise Unrenderable(owner, "a value holds a control character")
        return "\n".join(self._lines) + "\n"

    def owners(self) -> tuple[Owner, ...]:
        """Return the owner of each line: that of line 1 is at index 0."""
        return tuple(self._owners)


@functools.lru_cache(maxsize=65536)
def member_owner(member_id: str) -> Owner:
    """Return the owner of a member's line."""
    return Owner("member", member_id)


@functools.lru_cache(maxsize=65536)
def quote(value: str) -> str:
    """Return `value` as one word of a configuration line."""
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"


@functools.lru_cache(maxsize=65536)
def is_name(value: str) -> bool:
    """Say whether HAProxy takes `value` as the name of a proxy or a server."""
    return _NAME.fullmatch(value) is not None


@functools.lru_cache(maxsize=65536)
def endpoint(address: str, port: int) -> str | None:
    """Return `address:port` as HAProxy writes it, or None if `address` is not an IP address.

    Names are refused on purpose: HAProxy would look them up, or take `unix@` and `fd@` for what
    they say.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if "%" in address:
        return None
    return f"{parsed}:{port}" if parsed.version == 4 else f"[{parsed}]:{port}"


@functools.lru_cache(maxsize=4096)
def network(cidr: str) -> str | None:
    """Return `cidr` in canonical form, or None if it is not a network (host bits may be set)."""
    try:
        parsed = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None
    return None if "%" in cidr else str(parsed)
