"""What the data plane of this installation cannot do: refused when it is asked for.

These come after every other rule, because the request itself is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from statera.lb.errors import UnsupportedOption
from statera.lb.protocols import PROMETHEUS, SOURCE_IP_PORT, TERMINATED_HTTPS, is_datagram

Values = Mapping[str, Any]


def unsupported_option(provider: str, text: str) -> UnsupportedOption:
    """Return the error for an option that the provider does not know."""
    return UnsupportedOption(f"Provider '{provider}' does not support a requested option: {text}")


def unsupported_action(provider: str, text: str) -> UnsupportedOption:
    """Return the error for an action that the provider does not know."""
    return UnsupportedOption(f"Provider '{provider}' does not support a requested action: {text}")


def listener(provider: str, values: Values) -> None:
    """Refuse listener protocols that the data plane does not carry."""
    protocol = values["protocol"]
    if is_datagram(protocol) or protocol in (TERMINATED_HTTPS, PROMETHEUS):
        raise unsupported_option(provider, f"{protocol} protocol listeners are not supported.")


def pool(provider: str, values: Values) -> None:
    """Refuse pools that the data plane does not carry."""
    if values["lb_algorithm"] == SOURCE_IP_PORT:
        raise unsupported_option(
            provider, "Amphora provider does not support SOURCE_IP_PORT algorithm."
        )
    if is_datagram(values["protocol"]):
        raise unsupported_option(
            provider, f"{values['protocol']} protocol pools are not supported."
        )
    names = ("tls_enabled", "tls_container_ref", "ca_tls_container_ref", "crl_container_ref")
    if any(values[name] for name in names):
        raise unsupported_option(provider, "TLS towards members is not supported.")
