"""Small questions to the kernel that several parts ask: a link by name, a sysctl."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

_NO_SUCH_DEVICE = 19


def find(ip: IPRoute, name: str) -> Any | None:
    """Return the kernel's message about the link of that name, None if there is none."""
    try:
        return next(iter(ip.link("get", ifname=name)), None)
    except NetlinkError as error:
        if error.code == _NO_SUCH_DEVICE:
            return None
        raise


def present(names: Collection[str]) -> list[int]:
    """Return the indexes of those links of `names` that are there."""
    return [index for index, name in socket.if_nameindex() if name in names]


def link_names() -> frozenset[str]:
    """Return the names of all links of the calling thread's namespace."""
    return frozenset(name for _, name in socket.if_nameindex())


def alias_of(link: Any) -> str:
    """Return the alias of a link: the whole id of what it was made for, empty if there is none."""
    return str(link.get("ifalias") or "")


def kind_of(link: Any) -> str:
    """Return the kind of a link (`veth`, `bridge` …), empty for a device."""
    info = link.get("linkinfo")
    return str(info.get("kind") or "") if info else ""


def write_sysctl(path: str, value: str) -> None:
    """Write a sysctl of the calling thread's namespace, unless it has the value already.

    `path` is below `/proc/sys`.  A kernel without it (IPv6 switched off) is no error.
    """
    file = Path("/proc/sys") / path
    try:
        if file.read_text().strip() != value:
            file.write_text(value)
    except FileNotFoundError:
        return
