"""Rules of the pool and its session persistence (`spec/api-resources` §3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

from statera.lb import rules
from statera.lb.deployment import Deployment
from statera.lb.errors import Conflict, InvalidInput
from statera.lb.protocols import APP_COOKIE, HTTP_COOKIE, is_datagram

PERSISTENCE = ("type", "cookie_name", "persistence_timeout", "persistence_granularity")
_COOKIE_NAME = re.compile(r"""[^\x00-\x20\x7f"(),/:;<=>?@\[\\\]{}]+""")

Values = Mapping[str, Any]


def creation(values: Values, deployment: Deployment) -> None:
    """Refuse a new pool whose attributes do not go together."""
    if values["session_persistence"] is not None:
        _persistence(values["session_persistence"], values["protocol"], "UDP and SCTP")
    if values["crl_container_ref"] and not values["ca_tls_container_ref"]:
        raise InvalidInput.rule(
            "A CA certificate reference is required to specify a revocation list."
        )
    rules.ciphers_allowed(values, deployment)
    if values["tls_enabled"]:
        rules.versions_allowed(values, deployment)
        rules.alpn_allowed(values)


def update(old: Values, changes: Values, deployment: Deployment) -> None:
    """Refuse a change after which the attributes of a pool would not go together."""
    if changes.get("session_persistence") is not None:
        _persistence(changes["session_persistence"], old["protocol"], "UDP")
    new = {**old, **changes}
    if new["crl_container_ref"] and not new["ca_tls_container_ref"]:
        if changes.get("crl_container_ref"):
            text = "A CA reference is required to specify a certificate revocation list."
        else:
            text = "A CA reference cannot be removed when a certificate revocation list is present."
        raise InvalidInput.rule(text)
    rules.ciphers_allowed(changes, deployment)
    rules.versions_allowed(changes, deployment)
    rules.alpn_allowed(changes)


def references(values: Values) -> list[str]:
    """Return the certificate references that values name."""
    names = ("tls_container_ref", "ca_tls_container_ref", "crl_container_ref")
    return [values[name] for name in names if values.get(name)]


def merged_persistence(old: Values | None, given: Values, named: Set[str]) -> dict[str, Any]:
    """Return the session persistence after a change that names the keys `named`.

    Without a new type the old one and its options stay; options of another type do not.
    """
    kept = dict.fromkeys(PERSISTENCE)
    if old is not None and ("type" not in named or given["type"] in (None, old["type"])):
        kept |= old
    if given["type"] is not None:
        kept["type"] = given["type"]
    return kept | {name: given[name] for name in PERSISTENCE[1:] if name in named}


def default_pool_free(default_pool_id: str | None) -> None:
    """Refuse to become the default pool of a listener that has one."""
    if default_pool_id is not None:
        raise Conflict("This listener already has a default pool")


def _persistence(wanted: Values, protocol: str, only_for: str) -> None:
    kind, cookie = wanted["type"], wanted["cookie_name"]
    if kind is None:
        raise InvalidInput.attribute("type", None, "Mandatory field missing.")
    timed = [name for name in PERSISTENCE[2:] if wanted[name] is not None]
    if is_datagram(protocol):
        _datagram_persistence(kind, cookie)
    elif timed:
        raise InvalidInput.rule(
            "persistence_timeout and persistence_granularity is only for "
            f"{only_for} protocol pools."
        )
    if kind == APP_COOKIE and not cookie:
        raise InvalidInput.rule(
            'Field "cookie_name" must be specified when using the "APP_COOKIE" session '
            "persistence type."
        )
    if kind != APP_COOKIE and cookie:
        raise InvalidInput.rule(
            'Field "cookie_name" can only be specified with session persistence of type '
            '"APP_COOKIE".'
        )
    if cookie and not _COOKIE_NAME.fullmatch(cookie):
        raise InvalidInput.rule('Supplied "cookie_name" is invalid.')


def _datagram_persistence(kind: str, cookie: str | None) -> None:
    if kind in (HTTP_COOKIE, APP_COOKIE):
        raise InvalidInput.rule(
            f"Session persistence of type {kind} is not supported for UDP/SCTP protocol pools."
        )
    if cookie:
        raise InvalidInput.rule("Cookie names are not supported for UDP/SCTP pools.")
