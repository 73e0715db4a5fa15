"""Rules that no request reaches yet, because the data plane does not carry the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from statera.lb import rules, rules_listener, rules_monitor, rules_pool
from statera.lb.deployment import Deployment
from statera.lb.errors import Conflict, InvalidInput
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.protocols import LISTENER_PROTOCOLS, MONITOR_TYPES, POOL_PROTOCOLS
from statera.lb.reading import Reader

OPEN = Deployment()
DEFAULTS = {
    "timeout_client_data": 50000,
    "timeout_member_connect": 5000,
    "timeout_member_data": 50000,
    "timeout_tcp_inspect": 0,
}
ROOT = "0b1c2d3e-4f50-4a6b-8c7d-8e9fa0b1c2d3"


def _listener(protocol: str, **more: Any) -> dict[str, Any]:
    given = {"loadbalancer_id": ROOT, "protocol": protocol, "protocol_port": 443, **more}
    return Reader(Listener, Listener.info, DEFAULTS).create({"listener": given})


def _monitor(kind: str, **more: Any) -> dict[str, Any]:
    probe = {"pool_id": ROOT, "type": kind, "delay": 3, "timeout": 1, "max_retries": 1}
    return Reader(HealthMonitor, HealthMonitor.info).create({"healthmonitor": {**probe, **more}})


ALLOWED_POOLS = {
    "TCP": "TCP HTTP HTTPS PROXY PROXYV2",
    "HTTP": "HTTP PROXY PROXYV2",
    "HTTPS": "TCP HTTPS PROXY PROXYV2",
    "TERMINATED_HTTPS": "HTTP PROXY PROXYV2",
    "UDP": "UDP",
    "SCTP": "SCTP",
    "PROMETHEUS": "",
}


@pytest.mark.parametrize("listener", LISTENER_PROTOCOLS)
@pytest.mark.parametrize("pool", POOL_PROTOCOLS)
def test_which_pools_a_listener_can_send_to(listener: str, pool: str) -> None:
    """The matrix of the specification."""
    if pool in ALLOWED_POOLS[listener].split():
        rules.listener_fits_pool(listener, pool)
    else:
        with pytest.raises(InvalidInput, match=f"The pool protocol '{pool}' is invalid"):
            rules.listener_fits_pool(listener, pool)


@pytest.mark.parametrize("pool", POOL_PROTOCOLS)
@pytest.mark.parametrize("kind", MONITOR_TYPES)
def test_which_monitors_a_pool_can_have(pool: str, kind: str) -> None:
    """UDP and SCTP pools have their own; the text says which."""
    datagram = pool in ("UDP", "SCTP")
    fits = kind in (("HTTP", "TCP", "UDP-CONNECT", "SCTP") if datagram else MONITOR_TYPES[:5])
    if fits:
        rules_monitor.creation(_monitor(kind), pool, OPEN)
        return
    text = (
        f"The associated pool protocol is {pool}, so only a UDP-CONNECT/SCTP/TCP/HTTP"
        if datagram
        else f"The {kind} type is only supported for pools of type UDP/SCTP."
    )
    with pytest.raises(InvalidInput, match=text):
        rules_monitor.creation(_monitor(kind), pool, OPEN)


def test_udp_probes_have_a_least_delay() -> None:
    """On creation and on update; the least itself is accepted."""
    text = "delay value 2 should be larger than 3 for UDP-CONNECT health monitor type."
    good = _monitor("UDP-CONNECT")
    rules_monitor.creation(good, "UDP", OPEN)
    with pytest.raises(InvalidInput, match=text):
        rules_monitor.creation({**good, "delay": 2}, "UDP", OPEN)
    with pytest.raises(InvalidInput, match=text):
        rules_monitor.update(good, {"delay": 2}, OPEN)


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ("TCP", "HTTP", True),
        ("HTTPS", "TERMINATED_HTTPS", True),
        ("PROMETHEUS", "TCP", True),
        ("UDP", "UDP", True),
        ("TCP", "UDP", False),
        ("UDP", "SCTP", False),
    ],
)
def test_ports_are_three_spaces(first: str, second: str, clash: bool) -> None:
    """TCP and what runs over it, UDP, SCTP."""
    if clash:
        with pytest.raises(Conflict, match=f"already using protocol {first} and protocol_port 443"):
            rules_listener.port_free(_listener(second), [(first, 443)])
    else:
        rules_listener.port_free(_listener(second), [(first, 443)])
    rules_listener.port_free(_listener(second), [(first, 444)])


TLS = {"default_tls_container_ref": "ref"}


@pytest.mark.parametrize(
    ("protocol", "values"),
    [
        ("TERMINATED_HTTPS", TLS),
        ("TERMINATED_HTTPS", {"sni_container_refs": ["ref"], "tls_versions": ["TLSv1.3"]}),
        ("TERMINATED_HTTPS", {**TLS, "client_ca_tls_container_ref": "ca"}),
        (
            "TERMINATED_HTTPS",
            {**TLS, "client_ca_tls_container_ref": "ca", "client_authentication": "OPTIONAL"},
        ),
        ("TERMINATED_HTTPS", {**TLS, "insert_headers": {"X-SSL-Client-CN": "true"}}),
        ("TERMINATED_HTTPS", {**TLS, "hsts_max_age": 0, "hsts_preload": True}),
        ("TERMINATED_HTTPS", {**TLS, "alpn_protocols": ["h2"], "tls_ciphers": "ECDHE+AES:!RC4"}),
        ("PROMETHEUS", {}),
        ("PROMETHEUS", TLS),
        ("UDP", {"allowed_cidrs": ["10.0.0.0/8"]}),
        ("SCTP", {}),
        ("HTTP", {"insert_headers": {"X-Forwarded-For": "any string"}}),
    ],
)
def test_listeners_in_order(protocol: str, values: dict[str, Any]) -> None:
    """No rule refuses them."""
    rules_listener.creation(_listener(protocol, **values), OPEN)


def test_headers_and_certificates_of_datagrams_cannot_be_updated_in() -> None:
    """With the update's own text."""
    old = _listener("UDP")
    text = "UDP protocol listener does not support TLS or header insertion."
    for change in ({"insert_headers": {"X-Forwarded-For": "true"}}, TLS):
        with pytest.raises(InvalidInput, match=text):
            rules_listener.update(old, change, OPEN)


def test_the_last_certificate_may_be_removed() -> None:
    """An update may leave a TLS listener without one."""
    rules_listener.update(
        _listener("TERMINATED_HTTPS", **TLS), {"default_tls_container_ref": None}, OPEN
    )


def test_a_ca_stays_while_its_revocation_list_does() -> None:
    """The text says what to do."""
    tls = {"ca_tls_container_ref": "ca", "crl_container_ref": "crl"}
    old = {"protocol": "HTTP", **tls}
    text = "A CA reference cannot be removed when a certificate revocation list is present."
    with pytest.raises(InvalidInput, match=text):
        rules_pool.update(old, {"ca_tls_container_ref": None}, OPEN)
    rules_pool.update(old, dict.fromkeys(tls), OPEN)


@pytest.mark.parametrize(
    ("wanted", "good"),
    [
        ({"type": "SOURCE_IP", "persistence_timeout": 5}, True),
        ({"type": "SOURCE_IP", "persistence_granularity": "255.255.0.0"}, True),
        ({"type": "APP_COOKIE", "cookie_name": "a"}, False),
        ({"type": "SOURCE_IP", "cookie_name": "a"}, False),
    ],
)
def test_session_persistence_of_datagram_pools(wanted: dict[str, Any], good: bool) -> None:
    """Addresses, for a time and a netmask."""
    old = {"protocol": "UDP", "crl_container_ref": None, "ca_tls_container_ref": None}
    change = {"session_persistence": dict.fromkeys(rules_pool.PERSISTENCE) | wanted}
    if good:
        rules_pool.update(old, change, OPEN)
    else:
        with pytest.raises(InvalidInput):
            rules_pool.update(old, change, OPEN)
