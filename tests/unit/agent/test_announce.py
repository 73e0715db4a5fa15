"""Frames that tell neighbours a MAC, byte by byte."""

from __future__ import annotations

import ipaddress

from statera.agent.announce import frame

MAC = "02:00:00:00:aa:03"


def test_ipv4_is_announced_by_gratuitous_arp() -> None:
    """Sender and target are the address itself, to everybody (RFC 5227 §3)."""
    data = frame(MAC, ipaddress.ip_address("10.77.0.10"))
    assert data.hex() == (
        "ffffffffffff" "02000000aa03" "0806"
        "0001080006040001" "02000000aa03" "0a4d000a" "000000000000" "0a4d000a"
    )  # fmt: skip


def test_ipv6_is_announced_by_an_unsolicited_advertisement() -> None:
    """To all nodes, hop limit 255, override set, with the MAC, and a right checksum (RFC 4861)."""
    data = frame(MAC, ipaddress.ip_address("fd77::10"))
    address = "fd770000000000000000000000000010"
    nodes = "ff020000000000000000000000000001"
    assert data[:14].hex() == "33330000000102000000aa0386dd"
    assert data[14:54].hex() == f"60000000 0020 3a ff {address} {nodes}".replace(" ", "")
    body = data[54:]
    assert body[:2].hex() == "8800"
    assert body[4:].hex() == f"20000000 {address} 0201 02000000aa03".replace(" ", "")
    assert _sum(data[22:54] + len(body).to_bytes(4, "big") + b"\0\0\0\x3a" + body) == 0xFFFF


def _sum(data: bytes) -> int:
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
