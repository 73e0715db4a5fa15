"""Which protocols go together (`spec/api-resources` §11)."""

from __future__ import annotations

TCP, HTTP, HTTPS, UDP, SCTP = "TCP", "HTTP", "HTTPS", "UDP", "SCTP"
TERMINATED_HTTPS, PROMETHEUS = "TERMINATED_HTTPS", "PROMETHEUS"
PROXY, PROXYV2 = "PROXY", "PROXYV2"

LISTENER_PROTOCOLS = (TCP, HTTP, HTTPS, TERMINATED_HTTPS, UDP, SCTP, PROMETHEUS)
POOL_PROTOCOLS = (TCP, HTTP, HTTPS, PROXY, PROXYV2, UDP, SCTP)

POOLS_OF_LISTENER: dict[str, frozenset[str]] = {
    TCP: frozenset({TCP, HTTP, HTTPS, PROXY, PROXYV2}),
    HTTP: frozenset({HTTP, PROXY, PROXYV2}),
    HTTPS: frozenset({TCP, HTTPS, PROXY, PROXYV2}),
    TERMINATED_HTTPS: frozenset({HTTP, PROXY, PROXYV2}),
    UDP: frozenset({UDP}),
    SCTP: frozenset({SCTP}),
    PROMETHEUS: frozenset(),
}
"""Listener protocol -> pool protocols that it can send to."""

ROUND_ROBIN, LEAST_CONNECTIONS = "ROUND_ROBIN", "LEAST_CONNECTIONS"
SOURCE_IP, SOURCE_IP_PORT = "SOURCE_IP", "SOURCE_IP_PORT"
ALGORITHMS = (ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP, SOURCE_IP_PORT)

HTTP_COOKIE, APP_COOKIE = "HTTP_COOKIE", "APP_COOKIE"
PERSISTENCES = (SOURCE_IP, HTTP_COOKIE, APP_COOKIE)

PING, TLS_HELLO, UDP_CONNECT = "PING", "TLS-HELLO", "UDP-CONNECT"
MONITOR_TYPES = (HTTP, HTTPS, PING, TCP, TLS_HELLO, UDP_CONNECT, SCTP)
HTTP_MONITORS = frozenset({HTTP, HTTPS})

ALPN_PROTOCOLS = ("h2", "http/1.1", "http/1.0")

_DATAGRAM = frozenset({UDP, SCTP})
_STREAM_MONITORS = frozenset({HTTP, HTTPS, PING, TCP, TLS_HELLO})
_DATAGRAM_MONITORS = frozenset({HTTP, TCP, UDP_CONNECT, SCTP})


def is_datagram(protocol: str) -> bool:
    """Say whether a listener or pool protocol is balanced below HTTP and TCP (UDP, SCTP)."""
    return protocol in _DATAGRAM


def monitors_of_pool(protocol: str) -> frozenset[str]:
    """Return the monitor types that a pool of that protocol can have."""
    return _DATAGRAM_MONITORS if is_datagram(protocol) else _STREAM_MONITORS


def port_space(protocol: str) -> str:
    """Return the space in which a listener's port must be unique: TCP, UDP or SCTP."""
    return protocol if is_datagram(protocol) else TCP
