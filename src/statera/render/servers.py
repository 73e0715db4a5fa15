"""The words of a `server` line: the same in the file and in the runtime command `add server`.

The order in the file follows the document.  A dynamic server inherits nothing from `default-server`
(HAProxy 2.6), so `shared` is written once into the file and repeated in every `add server`.
"""

from __future__ import annotations

import re
import zlib

from statera.render.writer import Owner, Unrenderable, endpoint, is_name
from statera.spec.document import Member, Monitor, Pool

_DOMAIN = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_IDS = 1 << 20


def checked(pool: Pool) -> Monitor | None:
    """Return the monitor that HAProxy itself carries out for `pool`, or None.

    PING is no check of HAProxy: the agent's prober does it.
    """
    monitor = pool.monitor
    if monitor is None or not monitor.enabled or monitor.type == "PING":
        return None
    return monitor


def domain(monitor: Monitor) -> str | None:
    """Return the domain name of `monitor`, None if it has none."""
    if not monitor.domain_name:
        return None
    if not _DOMAIN.fullmatch(monitor.domain_name):
        raise Unrenderable(Owner("healthmonitor", monitor.id), "the domain name is not valid")
    return monitor.domain_name


def check_words(pool: Pool) -> str:
    """Return the check keywords that all servers of `pool` share ("" without a check)."""
    monitor = checked(pool)
    if monitor is None:
        return ""
    words = f"check inter {max(monitor.delay, 1)}s rise {monitor.rise} fall {monitor.fall}"
    if monitor.type in ("HTTPS", "TLS-HELLO"):
        words += " check-ssl verify none"
        name = domain(monitor)
        if name:
            words += f" check-sni {name}"
    return words


def proxy_words(pool: Pool) -> str:
    """Return the keyword that sends the PROXY protocol to the members of `pool`, if it does."""
    return {"PROXY": "send-proxy", "PROXYV2": "send-proxy-v2"}.get(pool.protocol, "")


def numbers(pool: Pool) -> dict[str, int]:
    """Return a stable number for each member; {} where the algorithm does not look at it.

    Consistent hashing places a server by its number (its low 20 bits), so numbers made by position
    would move clients whenever a member before theirs goes.
    """
    if pool.algorithm not in ("SOURCE_IP", "SOURCE_IP_PORT"):
        return {}
    given: dict[str, int] = {}
    used: set[int] = set()
    for member_id in sorted(member.id for member in pool.members):
        number = zlib.crc32(member_id.encode(errors="replace")) % _IDS or 1
        while number in used:
            number = number % (_IDS - 1) + 1
        used.add(number)
        given[member_id] = number
    return given


def server_words(member: Member, probed: bool, number: int | None) -> str:
    """Return name, address and own keywords of one server.

    `probed` says that HAProxy checks it; only then do the monitor's address and port mean anything.
    """
    address = endpoint(member.address, member.port)
    if address is None:
        raise Unrenderable(Owner("member", member.id), "the address is not an IP address")
    if not is_name(member.id):
        raise Unrenderable(Owner("member", member.id), "the id is not valid")
    words = f"{member.id} {address} weight {member.weight}"
    if number is not None:
        words += f" id {number}"
    if member.backup:
        words += " backup"
    # Looked at in any case: the prober uses the address too.
    monitored = _bare(member) if member.monitor_address else None
    if probed:
        if monitored:
            words += f" addr {monitored}"
        if member.monitor_port:
            words += f" port {member.monitor_port}"
    return words


def _bare(member: Member) -> str:
    """Return the monitor address of `member`, without a port but with the brackets of IPv6."""
    address = endpoint(member.monitor_address or "", 1)
    if address is None:
        raise Unrenderable(Owner("member", member.id), "the monitor address is not an IP address")
    return address.removesuffix(":1")
