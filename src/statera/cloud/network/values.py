"""Readers of single values: each takes what JSON held and returns what is stored.

A reader raises `ValueError` with the reason in words; the caller adds the attribute's name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

Reader = Callable[[Any], Any]

TEXT_LENGTH = 255
PAIRS = 10
"""Most allowed address pairs of a port."""
FIXED_IPS = 5
"""Most addresses of a port."""
ROUTES = 20
"""Most host routes of a subnet."""
NAMESERVERS = 5
"""Most name servers of a subnet."""
POOLS = 64
"""Most allocation pools of a subnet."""


def text(value: Any) -> str:
    """Read a string of at most 255 characters without control characters."""
    if not isinstance(value, str):
        raise ValueError(f"'{_short(value)}' is not a valid string.")
    if len(value) > TEXT_LENGTH:
        raise ValueError(f"'{_short(value)}' exceeds maximum length of {TEXT_LENGTH}.")
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise ValueError("control characters are not allowed.")
    return value


def filled(value: Any) -> str:
    """Read a string that is not empty."""
    found = text(value)
    if not found:
        raise ValueError("it must not be empty.")
    return found


def optional_text(value: Any) -> str:
    """Read a string; null is the empty one."""
    return "" if value is None else text(value)


def flag(value: Any) -> bool:
    """Read a boolean, or one of the words that clients write for one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, str)):
        known = {"true": True, "1": True, "false": False, "0": False}
        found = known.get(str(value).lower())
        if found is not None:
            return found
    raise ValueError(f"'{_short(value)}' cannot be converted to boolean.")


def never(why: str) -> Reader:
    """Return a reader of a boolean that only accepts false."""

    def read(value: Any) -> bool:
        if flag(value):
            raise ValueError(why)
        return False

    return read


def empty(why: str) -> Reader:
    """Return a reader that accepts only null and the empty list."""

    def read(value: Any) -> None:
        if value is not None and value != []:
            raise ValueError(why)

    return read


def integer(low: int, high: int) -> Reader:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(value: Any) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"'{_short(value)}' is not an integer.")
        if not low <= value <= high:
            raise ValueError(f"'{_short(value)}' is not between {low} and {high}.")
        return value

    return read


def identifier(value: Any) -> str:
    """Read the id of another object; whether there is one is another question."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 36:
        raise ValueError(f"'{_short(value)}' is not a valid UUID.")
    return value


def ip(value: Any) -> str:
    """Read an address; return its canonical form."""
    if isinstance(value, str) and "%" not in value:
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            pass
    raise ValueError(f"'{_short(value)}' is not a valid IP address.")


def optional_ip(value: Any) -> str | None:
    """Read an address or null."""
    return None if value is None else ip(value)


def cidr(value: Any) -> str:
    """Read a range; return its canonical form.  Host bits must be zero."""
    if not isinstance(value, str) or "%" in value or "/" not in value:
        raise ValueError(f"'{_short(value)}' is not a valid IP subnet.")
    try:
        found = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"'{_short(value)}' is not a valid IP subnet.") from None
    if ipaddress.ip_address(value.split("/")[0]) != found.network_address:
        raise ValueError(f"'{value}' isn't a recognized IP subnet cidr, '{found}' is recommended.")
    return str(found)


def listed(read: Reader, most: int) -> Reader:
    """Return a reader of lists of at most `most` different items; null is the empty list."""

    def read_list(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(f"'{_short(value)}' is not a list.")
        if len(value) > most:
            raise ValueError(f"more than {most} items.")
        found = [read(item) for item in value]
        for position, item in enumerate(found):
            if item in found[:position]:
                raise ValueError(f"Duplicate items in the list: '{_short(item)}'.")
        return found

    return read_list


def shaped(required: dict[str, Reader], optional: dict[str, Reader] | None = None) -> Reader:
    """Return a reader of objects with exactly these keys."""
    readers = required | (optional or {})

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"'{_short(value)}' is not a dictionary.")
        for key in required:
            if key not in value:
                raise ValueError(f"'{key}' is missing.")
        for key in value:
            if key not in readers:
                raise ValueError(f"unknown key '{_short(key)}'.")
        return {key: readers[key](item) for key, item in value.items()}

    return read


pool = shaped({"start": ip, "end": ip})
route = shaped({"destination": cidr, "nexthop": ip})


def fixed_ip(value: Any) -> dict[str, str]:
    """Read a wanted address: `subnet_id`, `ip_address` or both."""
    found: dict[str, str] = shaped({}, {"subnet_id": identifier, "ip_address": ip})(value)
    if not found:
        raise ValueError("'subnet_id' or 'ip_address' is missing.")
    return found


def mac(value: Any) -> str:
    """Read a MAC address."""
    parts = value.lower().replace("-", ":").split(":") if isinstance(value, str) else []
    valid = len(parts) == 6 and all(
        len(part) == 2 and set(part) <= set("0123456789abcdef") for part in parts
    )
    if not valid:
        raise ValueError(f"'{_short(value)}' is not a valid MAC address.")
    return ":".join(parts)


def address_pair(value: Any) -> dict[str, str]:
    """Read an allowed address pair: `ip_address` (an address or a range), perhaps `mac_address`."""

    def read_ip(item: Any) -> str:
        return cidr(item) if isinstance(item, str) and "/" in item else ip(item)

    found: dict[str, str] = shaped({"ip_address": read_ip}, {"mac_address": mac})(value)
    return found


def _short(value: Any) -> str:
    """Return a value as text that is fit for an error message."""
    shown = str(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
