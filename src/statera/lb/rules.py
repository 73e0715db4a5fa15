"""Rules that several resources share: which protocols go together, what TLS options may say.

A rule is a function over values by attribute name; it returns nothing or raises its one error.
Rules of one resource are in `rules_<resource>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from statera.lb.deployment import Deployment
from statera.lb.errors import InvalidInput
from statera.lb.protocols import POOLS_OF_LISTENER, PROMETHEUS

TLS_VERSIONS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")

_CIPHERS = re.compile(r"[A-Za-z0-9\-+!:@=_.]+")


def invalid_option(value: object, option: str) -> InvalidInput:
    """Return the error for a value that makes no sense where it stands."""
    return InvalidInput(f"{value} is not a valid option for {option}")


def disabled_option(option: str, value: object) -> InvalidInput:
    """Return the error for what the installation's configuration switches off."""
    return InvalidInput(f"The selected {option} is not allowed in this deployment: {value}")


def listener_takes_pools(protocol: str) -> None:
    """Refuse a pool or a policy on a listener that can have none."""
    if protocol == PROMETHEUS:
        raise InvalidInput(f"Protocol {protocol} listeners cannot have child objects.")


def listener_fits_pool(listener_protocol: str, pool_protocol: str) -> None:
    """Refuse a pool that the listener's protocol cannot send to."""
    if pool_protocol not in POOLS_OF_LISTENER[listener_protocol]:
        raise InvalidInput.rule(
            f"The pool protocol '{pool_protocol}' is invalid while the listener protocol is "
            f"'{listener_protocol}'."
        )


def ciphers_allowed(values: Mapping[str, Any], deployment: Deployment) -> None:
    """Refuse cipher strings with foreign characters or prohibited ciphers."""
    ciphers = values.get("tls_ciphers")
    if ciphers is None:
        return
    if not _CIPHERS.fullmatch(ciphers):
        raise InvalidInput.rule(
            "Invalid characters in cipher string. "
            "Only alphanumeric, -, +, !, :, @, =, _, and . are allowed."
        )
    prohibited = [c for c in ciphers.split(":") if c in deployment.tls_cipher_prohibit_list]
    if prohibited:
        raise InvalidInput.rule(
            "The following ciphers have been prohibited by an administrator: "
            + ", ".join(prohibited)
        )


def versions_allowed(values: Mapping[str, Any], deployment: Deployment) -> None:
    """Refuse an empty list of TLS versions, unknown ones, and those below the minimum."""
    versions = values.get("tls_versions")
    if versions is None:
        return
    if not versions:
        raise InvalidInput.rule(
            "Empty TLS version list. Either specify at least one TLS version or remove this "
            "parameter to use the default."
        )
    unknown = [version for version in versions if version not in TLS_VERSIONS]
    if unknown:
        raise InvalidInput.rule(f"Invalid TLS versions: {', '.join(unknown)}")
    least = deployment.minimum_tls_version
    if least is None:
        return
    below = [v for v in versions if TLS_VERSIONS.index(v) < TLS_VERSIONS.index(least)]
    if below:
        raise InvalidInput.rule(
            f"Requested TLS versions are less than the minimum: {', '.join(below)} < {least}"
        )


def alpn_allowed(values: Mapping[str, Any]) -> None:
    """Refuse an empty list of ALPN protocols."""
    if values.get("alpn_protocols") == []:
        raise InvalidInput.rule(
            "Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this "
            "parameter to use the default."
        )
