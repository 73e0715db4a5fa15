"""Rules of the listener, in the order in which the API applies them (`spec/api-resources` §2.2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from statera.lb import rules
from statera.lb.deployment import Deployment
from statera.lb.errors import Conflict, InvalidInput
from statera.lb.protocols import HTTP, PROMETHEUS, TERMINATED_HTTPS, is_datagram, port_space

PLAIN_HEADERS = frozenset(
    {
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-Forwarded-IP",
        "X-Client-IP",
        "X-Real-IP",
    }
)
TLS_HEADERS = frozenset(
    {
        "X-SSL-Client-Verify",
        "X-SSL-Client-Has-Cert",
        "X-SSL-Client-DN",
        "X-SSL-Client-CN",
        "X-SSL-Issuer",
        "X-SSL-Client-SHA1",
        "X-SSL-Client-Not-Before",
        "X-SSL-Client-Not-After",
    }
)
_OFFLOADING = frozenset({TERMINATED_HTTPS, PROMETHEUS})

Values = Mapping[str, Any]


def creation(values: Values, deployment: Deployment) -> None:
    """Refuse a new listener whose attributes do not go together."""
    protocol = values["protocol"]
    _headers(values)
    if is_datagram(protocol) and (_certificates(values) or values["insert_headers"]):
        raise InvalidInput.rule(f"{protocol} protocol listener does not support TLS.")
    _protocol_allowed(values, deployment)
    _certificates_fit(values)
    _client_authentication_creation(values)
    rules.ciphers_allowed(values, deployment)
    if _offloads(values):
        rules.versions_allowed(values, deployment)
        rules.alpn_allowed(values)
    _hsts(
        values,
        "HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if "
        "hsts_max_age is set as well.",
    )


def update(old: Values, changes: Values, deployment: Deployment) -> None:
    """Refuse a change after which the attributes of a listener would not go together."""
    new = {**old, **changes}
    protocol = new["protocol"]
    if is_datagram(protocol) and (_certificates(changes) or changes.get("insert_headers")):
        raise InvalidInput.rule(
            f"{protocol} protocol listener does not support TLS or header insertion."
        )
    if "insert_headers" in changes:
        _headers(new)
    _certificates_fit({**changes, "protocol": protocol})
    _client_authentication(new)
    rules.ciphers_allowed(changes, deployment)
    rules.versions_allowed(changes, deployment)
    rules.alpn_allowed(changes)
    if any(name.startswith("hsts_") for name in changes):
        _hsts(
            new,
            "Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set "
            "as well.",
        )


def references(values: Values) -> list[str]:
    """Return the certificate and CA references that values name."""
    single = ("default_tls_container_ref", "client_ca_tls_container_ref")
    named = [values.get(name) for name in (*single, "client_crl_container_ref")]
    return [ref for ref in (*named, *(values.get("sni_container_refs") or ())) if ref]


def port_free(values: Values, others: Iterable[tuple[str, int]]) -> None:
    """Refuse a port that another listener has; `others`: (protocol, port) on the load balancer."""
    space, port = port_space(values["protocol"]), values["protocol_port"]
    for protocol, taken in others:
        if taken == port and port_space(protocol) == space:
            raise Conflict(
                "Another Listener on this Load Balancer is already using protocol "
                f"{protocol} and protocol_port {port}"
            )


def cidrs_fit(values: Values, vips: list[str], security_groups: list[str]) -> None:
    """Refuse allowed networks that no VIP address could be reached from."""
    cidrs = values.get("allowed_cidrs")
    if not cidrs:
        return
    if security_groups:
        raise InvalidInput.rule(
            "Allowed CIDRs are not allowed when using custom VIP Security Groups."
        )
    versions = {ipaddress.ip_address(vip).version for vip in vips}
    for cidr in cidrs:
        if ipaddress.ip_network(cidr).version not in versions:
            raise InvalidInput.rule(
                f"CIDR {cidr} IP version incompatible with all VIPs [{', '.join(vips)}] IP version."
            )


def _certificates(values: Values) -> bool:
    return bool(values.get("default_tls_container_ref") or values.get("sni_container_refs"))


def _offloads(values: Values) -> bool:
    protocol = values["protocol"]
    return protocol == TERMINATED_HTTPS or (protocol == PROMETHEUS and _certificates(values))


def _headers(values: Values) -> None:
    wanted = values["insert_headers"]
    if not wanted:
        return
    protocol = values["protocol"]
    if protocol not in (HTTP, TERMINATED_HTTPS):
        raise rules.invalid_option("insert-headers", f"a {protocol} protocol listener.")
    unknown = sorted(wanted.keys() - PLAIN_HEADERS - TLS_HEADERS)
    if unknown:
        raise rules.invalid_option(unknown, "insert_headers")
    encrypted = sorted(wanted.keys() & TLS_HEADERS)
    if encrypted and protocol == HTTP:
        raise rules.invalid_option(encrypted, f"{protocol} protocol listener.")


def _protocol_allowed(values: Values, deployment: Deployment) -> None:
    protocol = values["protocol"]
    if not deployment.allow_tls_terminated_listeners and _offloads(values):
        name = protocol if protocol == TERMINATED_HTTPS else f"{protocol} with TLS"
        raise rules.disabled_option("protocol", name)
    if protocol == PROMETHEUS and not deployment.allow_prometheus_listeners:
        raise rules.disabled_option("protocol", protocol)


def _certificates_fit(values: Values) -> None:
    protocol = values["protocol"]
    if protocol not in _OFFLOADING and references(values):
        raise InvalidInput.rule(
            f"Certificate container references are not allowed on {protocol} protocol listeners."
        )


def _client_authentication_creation(values: Values) -> None:
    needed = "An SNI or default certificate container reference must be provided "
    if values["client_ca_tls_container_ref"] and not _certificates(values):
        raise InvalidInput.rule(f"{needed}with a client CA container reference.")
    if _offloads(values) and not _certificates(values):
        raise InvalidInput.rule(f"{needed}for {values['protocol']} protocol listeners.")
    _client_authentication(values)


def _client_authentication(values: Values) -> None:
    if values["client_ca_tls_container_ref"]:
        return
    if values["client_authentication"] != "NONE":
        raise InvalidInput.rule(
            f"Client authentication setting {values['client_authentication']} requires a client "
            "CA container reference."
        )
    if values["client_crl_container_ref"]:
        raise InvalidInput.rule(
            "A client authentication CA reference is required to specify a client authentication "
            "revocation list."
        )


def _hsts(values: Values, without_age: str) -> None:
    options = values["hsts_include_subdomains"] or values["hsts_preload"]
    if options and values["hsts_max_age"] is None:
        raise InvalidInput.rule(without_age)
    if values["hsts_max_age"] is not None and values["protocol"] != TERMINATED_HTTPS:
        raise InvalidInput.rule(
            "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."
        )
