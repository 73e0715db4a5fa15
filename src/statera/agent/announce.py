"""Tells neighbours which MAC has an address now: gratuitous ARP and unsolicited advertisements.

Without it a client that knew the address by another MAC sends into nothing for up to a minute.  The
kernel's own announcement (`arp_notify`) leaves before the bridge's port forwards, so we send three
times, after the port is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from statera.agent.namespace import Namespace
from statera.lb.errors import Retryable

_ETHERNET_BROADCAST = b"\xff" * 6
_ALL_NODES = ipaddress.IPv6Address("ff02::1")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ARP, _IPV6 = 0x0806, 0x86DD
_ICMPV6, _ADVERTISEMENT, _OVERRIDE, _TARGET_LINK = 58, 136, 0x20000000, 2
_PAUSES = (0.0, 0.1, 0.5)

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Announcement:
    """The addresses that are now at `mac`, on the link of that name inside a namespace."""

    link: str
    mac: str
    addresses: tuple[IPAddress, ...]


async def announce(space: Namespace, announcements: Sequence[Announcement]) -> None:
    """Send each announcement three times; a link that went away meanwhile is no error."""
    with contextlib.ExitStack() as stack:
        ready: list[tuple[socket.socket, list[bytes]]] = []
        for each in announcements:
            with contextlib.suppress(OSError, Retryable):
                link = await asyncio.to_thread(space.call, lambda each=each: _open(each.link))
                stack.callback(link.close)
                ready.append((link, [frame(each.mac, address) for address in each.addresses]))
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            for link, frames in ready:
                for data in frames:
                    with contextlib.suppress(OSError):
                        link.send(data)


def frame(mac: str, address: IPAddress) -> bytes:
    """Return the Ethernet frame that says that `address` is at `mac`."""
    source = bytes.fromhex(mac.replace(":", ""))
    if isinstance(address, ipaddress.IPv4Address):
        return _gratuitous_arp(source, address)
    return _unsolicited_advertisement(source, address)


def _open(link: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        opened.bind((link, 0))
    except OSError:
        opened.close()
        raise
    return opened


def _gratuitous_arp(source: bytes, address: ipaddress.IPv4Address) -> bytes:
    request = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    body = request + source + address.packed + b"\0" * 6 + address.packed
    return _ETHERNET_BROADCAST + source + struct.pack("!H", _ARP) + body


def _unsolicited_advertisement(source: bytes, address: ipaddress.IPv6Address) -> bytes:
    option = struct.pack("!BB", _TARGET_LINK, 1) + source
    tail = struct.pack("!I", _OVERRIDE) + address.packed + option
    pseudo = address.packed + _ALL_NODES.packed
    pseudo += struct.pack("!II", 4 + len(tail), _ICMPV6)
    checksum = _checksum(pseudo + struct.pack("!BBH", _ADVERTISEMENT, 0, 0) + tail)
    payload = struct.pack("!BBH", _ADVERTISEMENT, 0, checksum) + tail
    header = struct.pack("!IHBB", 6 << 28, len(payload), _ICMPV6, 255)
    packet = header + address.packed + _ALL_NODES.packed + payload
    return _ALL_NODES_MAC + source + struct.pack("!H", _IPV6) + packet


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
