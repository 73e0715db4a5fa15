"""Rules of the health monitor (`spec/api-resources` §5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statera.lb import rules
from statera.lb.deployment import Deployment
from statera.lb.errors import InvalidInput
from statera.lb.protocols import (
    HTTP_MONITORS,
    PING,
    SCTP,
    UDP_CONNECT,
    is_datagram,
    monitors_of_pool,
)

HTTP_DEFAULTS = {"http_method": "GET", "url_path": "/", "expected_codes": "200"}
"""What an HTTP or HTTPS probe does unless told; other types have none of it."""

Values = Mapping[str, Any]


def creation(values: Values, pool_protocol: str, deployment: Deployment) -> None:
    """Refuse a new monitor whose attributes do not go together, or that its pool cannot have."""
    kind = values["type"]
    if kind == PING and not deployment.allow_ping_health_monitors:
        raise rules.disabled_option("type", kind)
    _pool_can_have(kind, pool_protocol)
    if kind not in HTTP_MONITORS:
        for name in HTTP_DEFAULTS:
            if values[name] is not None:
                raise _not_for(name, kind)
    _domain(values)
    _delay(values, deployment)


def update(old: Values, changes: Values, deployment: Deployment) -> None:
    """Refuse a change that the type of the monitor cannot have."""
    kind = old["type"]
    if kind not in HTTP_MONITORS:
        for name in HTTP_DEFAULTS:
            if name in changes:
                raise _not_for(name, kind)
    new = {**old, **changes}
    if "domain_name" in changes or "http_version" in changes:
        _domain(new)
    _delay(new, deployment)


def with_defaults(kind: str, values: dict[str, Any]) -> None:
    """Put the defaults of an HTTP probe where `values` say null."""
    if kind in HTTP_MONITORS:
        for name, default in HTTP_DEFAULTS.items():
            if name in values and values[name] is None:
                values[name] = default


def _not_for(name: str, kind: str) -> InvalidInput:
    return rules.invalid_option(name, f"health monitors of type {kind}")


def _pool_can_have(kind: str, protocol: str) -> None:
    if kind in monitors_of_pool(protocol):
        return
    if is_datagram(protocol):
        raise InvalidInput.rule(
            f"The associated pool protocol is {protocol}, so only a UDP-CONNECT/SCTP/TCP/HTTP "
            "health monitor is supported."
        )
    assert kind in (UDP_CONNECT, SCTP)  # noqa: S101 (the matrix leaves no other)
    raise InvalidInput.rule(f"The {kind} type is only supported for pools of type UDP/SCTP.")


def _domain(values: Values) -> None:
    if not values["domain_name"]:
        return
    version = values["http_version"]
    if version is None:
        raise InvalidInput.rule("'http_version' must be specified when 'domain_name' is provided.")
    if version < 1.1:
        raise rules.invalid_option(
            f"http_version {version}", "health monitors HTTP 1.1 domain name health check"
        )


def _delay(values: Values, deployment: Deployment) -> None:
    least = deployment.udp_connect_min_interval_health_monitor
    if values["type"] == UDP_CONNECT and values["delay"] < least:
        raise InvalidInput.rule(
            f"The request delay value {values['delay']} should be larger than {least} for "
            "UDP-CONNECT health monitor type."
        )
