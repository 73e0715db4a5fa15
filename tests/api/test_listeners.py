"""Listeners: creation, update, deletion and their rules (`spec/api-resources` §2)."""

from __future__ import annotations

from typing import Any

import pytest

from statera.api.settings import ApiSettings
from tests.api.harness import SUBNET6, UNKNOWN, Api

RULE = "Validation failure: "
UNSUPPORTED = "Provider 'amphora' does not support a requested option: "

SHOWN = {
    "id", "name", "description", "provisioning_status", "operating_status", "admin_state_up",
    "protocol", "protocol_port", "connection_limit", "default_tls_container_ref",
    "sni_container_refs", "project_id", "tenant_id", "default_pool_id", "l7policies",
    "insert_headers", "created_at", "updated_at", "loadbalancers", "timeout_client_data",
    "timeout_member_connect", "timeout_member_data", "timeout_tcp_inspect", "tags",
    "client_ca_tls_container_ref", "client_authentication", "client_crl_container_ref",
    "allowed_cidrs", "tls_ciphers", "tls_versions", "alpn_protocols", "hsts_max_age",
    "hsts_include_subdomains", "hsts_preload",
}  # fmt: skip


@pytest.fixture(name="root")
def root_fixture(api: Api) -> str:
    """A load balancer with an IPv4 address."""
    root: str = api.load_balancer()["id"]
    return root


def test_a_creation_answers_with_what_was_stored(api: Api, root: str) -> None:
    """With defaults, and the same as a later show."""
    made = api.listener(root, name="web", allowed_cidrs=["10.1.2.3/8", "10.0.0.0/8", "192.0.2.1"])
    assert made.keys() == SHOWN
    assert made == api.get(f"/listeners/{made['id']}")["listener"]
    expected = {
        "loadbalancers": [{"id": root}],
        "allowed_cidrs": ["10.0.0.0/8", "192.0.2.1/32"],
        "connection_limit": -1,
        "timeout_client_data": 50000,
        "timeout_member_connect": 5000,
        "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0,
        "insert_headers": {},
        "sni_container_refs": [],
        "l7policies": [],
        "client_authentication": "NONE",
        "tls_versions": None,
        "hsts_preload": False,
        "provisioning_status": "PENDING_CREATE",
    }
    assert {name: made[name] for name in expected} == expected


CREATIONS: list[tuple[dict[str, Any], int, str]] = [
    ({"loadbalancer_id": UNKNOWN}, 404, f"Load Balancer {UNKNOWN} not found."),
    ({"default_pool_id": UNKNOWN}, 404, f"Pool {UNKNOWN} not found."),
    (
        {"protocol": "PROMETHEUS", "default_pool_id": UNKNOWN},
        400,
        "Protocol PROMETHEUS listeners cannot have child objects.",
    ),
    (
        {"protocol": "TCP", "insert_headers": {"X-Forwarded-For": "true"}},
        400,
        "insert-headers is not a valid option for a TCP protocol listener.",
    ),
    (
        {"insert_headers": {"X-Bogus": "true"}},
        400,
        "['X-Bogus'] is not a valid option for insert_headers",
    ),
    (
        {"insert_headers": {"X-SSL-Client-CN": "true"}},
        400,
        "['X-SSL-Client-CN'] is not a valid option for HTTP protocol listener.",
    ),
    (
        {"protocol": "UDP", "default_tls_container_ref": "good"},
        400,
        f"{RULE}UDP protocol listener does not support TLS.",
    ),
    (
        {"default_tls_container_ref": "good"},
        400,
        f"{RULE}Certificate container references are not allowed on HTTP protocol listeners.",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "client_ca_tls_container_ref": "good"},
        400,
        f"{RULE}An SNI or default certificate container reference must be provided with a client "
        "CA container reference.",
    ),
    (
        {"protocol": "TERMINATED_HTTPS"},
        400,
        f"{RULE}An SNI or default certificate container reference must be provided for "
        "TERMINATED_HTTPS protocol listeners.",
    ),
    (
        {"client_authentication": "OPTIONAL"},
        400,
        f"{RULE}Client authentication setting OPTIONAL requires a client CA container reference.",
    ),
    (
        {"tls_ciphers": "A B"},
        400,
        f"{RULE}Invalid characters in cipher string. "
        "Only alphanumeric, -, +, !, :, @, =, _, and . are allowed.",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "bad"},
        400,
        "Could not retrieve certificate: bad",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "sni_container_refs": ["good", "bad"]},
        400,
        "Could not retrieve certificate: bad",
    ),
    (
        {"protocol": "TCP", "protocol_port": 80},
        409,
        "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port "
        "80",
    ),
    (
        {"allowed_cidrs": ["fd00::/8"]},
        400,
        f"{RULE}CIDR fd00::/8 IP version incompatible with all VIPs [10.1.0.10] IP version.",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "good", "tls_versions": []},
        400,
        f"{RULE}Empty TLS version list. Either specify at least one TLS version or remove this "
        "parameter to use the default.",
    ),
    (
        {"hsts_preload": True},
        400,
        f"{RULE}HSTS configuration options hsts_include_subdomains and hsts_preload only make "
        "sense if hsts_max_age is set as well.",
    ),
    (
        {"hsts_max_age": 7},
        400,
        f"{RULE}The HSTS feature can only be used for listeners using the TERMINATED_HTTPS "
        "protocol.",
    ),
    (
        {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "good"},
        501,
        f"{UNSUPPORTED}TERMINATED_HTTPS protocol listeners are not supported.",
    ),
    ({"protocol": "UDP"}, 501, f"{UNSUPPORTED}UDP protocol listeners are not supported."),
    ({"protocol": "SCTP"}, 501, f"{UNSUPPORTED}SCTP protocol listeners are not supported."),
    (
        {"protocol": "PROMETHEUS"},
        501,
        f"{UNSUPPORTED}PROMETHEUS protocol listeners are not supported.",
    ),
]


@pytest.mark.parametrize(("values", "status", "text"), CREATIONS)
def test_creations_refused(
    api: Api, root: str, values: dict[str, Any], status: int, text: str
) -> None:
    """With the text of the rule; nothing changes."""
    api.listener(root)
    before = api.snapshot()
    given = {"loadbalancer_id": root, "protocol": "HTTP", "protocol_port": 81, **values}
    result = api.call("POST", "/listeners", {"listener": given})
    assert (result.status_code, result.json["faultstring"]) == (status, text)
    assert api.snapshot() == before


FIT = {
    "TCP": {"TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2"},
    "HTTP": {"HTTP", "PROXY", "PROXYV2"},
    "HTTPS": {"TCP", "HTTPS", "PROXY", "PROXYV2"},
}


@pytest.mark.parametrize("listener", FIT)
@pytest.mark.parametrize("pool", ["TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2"])
def test_which_pools_fit_which_listeners(api: Api, root: str, listener: str, pool: str) -> None:
    """On creation, on update, and when a pool asks for a listener."""
    pool_id = api.pool(root, protocol=pool)["id"]
    fits = pool in FIT[listener]
    text = (
        f"{RULE}The pool protocol '{pool}' is invalid while the listener protocol is '{listener}'."
    )
    given = {"loadbalancer_id": root, "protocol": listener, "protocol_port": 90}
    first = api.call("POST", "/listeners", {"listener": {**given, "default_pool_id": pool_id}})
    bare = api.listener(root, protocol=listener, protocol_port=91)["id"]
    path = f"/listeners/{bare}"
    second = api.call("PUT", path, {"listener": {"default_pool_id": pool_id}})
    third = api.listener(root, protocol=listener, protocol_port=92)["id"]
    asked = {"listener_id": third, "protocol": pool, "lb_algorithm": "ROUND_ROBIN"}
    for result, code in (
        (first, 201),
        (second, 200),
        (api.call("POST", "/pools", {"pool": asked}), 201),
    ):
        assert result.status_code == (code if fits else 400)
        assert fits or result.json["faultstring"] == text


def test_pools_of_other_load_balancers_are_not_found(api: Api, root: str) -> None:
    """404 on creation and on update."""
    foreign = api.pool(api.load_balancer()["id"])["id"]
    listener = api.listener(root)["id"]
    body = {"listener": {"default_pool_id": foreign}}
    result = api.call("PUT", f"/listeners/{listener}", body)
    assert (result.status_code, result.json["faultstring"]) == (404, f"Pool {foreign} not found.")


def test_networks_may_fit_an_additional_address(api: Api) -> None:
    """One of the families is enough."""
    root = api.load_balancer(additional_vips=[{"subnet_id": SUBNET6}])["id"]
    made = api.listener(root, allowed_cidrs=["fd00::1/8", "10.0.0.0/8"])
    assert made["allowed_cidrs"] == ["fd00::/8", "10.0.0.0/8"]


def test_null_restores_defaults(api: Api, root: str) -> None:
    """For every attribute that clients can unset."""
    made = api.listener(
        root,
        default_pool_id=api.pool(root)["id"],
        description="x",
        connection_limit=5,
        timeout_client_data=1,
        timeout_member_connect=1,
        timeout_member_data=1,
        timeout_tcp_inspect=1,
        insert_headers={"X-Forwarded-For": "true"},
        allowed_cidrs=["10.0.0.0/8"],
    )
    nulls = (
        "default_pool_id", "description", "connection_limit", "timeout_client_data",
        "timeout_member_connect", "timeout_member_data", "timeout_tcp_inspect", "insert_headers",
        "allowed_cidrs", "sni_container_refs", "default_tls_container_ref", "client_authentication",
        "client_ca_tls_container_ref", "client_crl_container_ref", "hsts_max_age",
        "hsts_include_subdomains", "hsts_preload",
    )  # fmt: skip
    body = {"listener": dict.fromkeys(nulls)}
    result = api.call("PUT", f"/listeners/{made['id']}", body)
    assert result.status_code == 200
    plain = api.listener(root, protocol_port=81)
    assert {n: result.json["listener"][n] for n in nulls} == {n: plain[n] for n in nulls}


def test_null_for_tls_options_stores_the_configured_ones(api: Api, root: str) -> None:
    """On any protocol, as clients know it."""
    made = api.listener(root)
    nulls: dict[str, Any] = dict.fromkeys(("tls_ciphers", "tls_versions", "alpn_protocols"))
    shown = api.call("PUT", f"/listeners/{made['id']}", {"listener": nulls}).json["listener"]
    assert shown["tls_versions"] == ["TLSv1.2", "TLSv1.3"]
    assert shown["alpn_protocols"] == ["h2", "http/1.1", "http/1.0"]
    assert shown["tls_ciphers"].startswith("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:")


UPDATES: list[tuple[dict[str, Any], str]] = [
    (
        {"insert_headers": {"X-SSL-Issuer": "true"}},
        "['X-SSL-Issuer'] is not a valid option for HTTP protocol listener.",
    ),
    (
        {"sni_container_refs": ["good"]},
        f"{RULE}Certificate container references are not allowed on HTTP protocol listeners.",
    ),
    (
        {"client_authentication": "MANDATORY"},
        f"{RULE}Client authentication setting MANDATORY requires a client CA container reference.",
    ),
    ({"tls_versions": ["TLSv9"]}, f"{RULE}Invalid TLS versions: TLSv9"),
    (
        {"alpn_protocols": ["h3"]},
        "Invalid input for field/attribute alpn_protocols. Value: '['h3']'. "
        "Value should be a valid ALPN protocol ID",
    ),
    (
        {"alpn_protocols": []},
        f"{RULE}Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this "
        "parameter to use the default.",
    ),
    (
        {"hsts_include_subdomains": True},
        f"{RULE}Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set "
        "as well.",
    ),
    (
        {"allowed_cidrs": ["fd00::/8"]},
        f"{RULE}CIDR fd00::/8 IP version incompatible with all VIPs [10.1.0.10] IP version.",
    ),
]


@pytest.mark.parametrize(("changes", "text"), UPDATES)
def test_updates_refused(api: Api, root: str, changes: dict[str, Any], text: str) -> None:
    """400 with the text of the rule; nothing changes."""
    listener = api.listener(root)["id"]
    before = api.snapshot()
    result = api.call("PUT", f"/listeners/{listener}", {"listener": changes})
    assert (result.status_code, result.json["faultstring"]) == (400, text)
    assert api.snapshot() == before


class TestDeploymentSwitches:
    """What an installation can forbid."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Set the options."""
        return ApiSettings(
            allow_tls_terminated_listeners=False,
            allow_prometheus_listeners=False,
            tls_cipher_prohibit_list=("RC4", "DES"),
            minimum_tls_version="TLSv1.2",
        )

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            (
                {"protocol": "TERMINATED_HTTPS"},
                "The selected protocol is not allowed in this deployment: TERMINATED_HTTPS",
            ),
            (
                {"protocol": "PROMETHEUS"},
                "The selected protocol is not allowed in this deployment: PROMETHEUS",
            ),
            (
                {"protocol": "PROMETHEUS", "sni_container_refs": ["good"]},
                "The selected protocol is not allowed in this deployment: PROMETHEUS with TLS",
            ),
            (
                {"tls_ciphers": "AES:RC4:DES"},
                f"{RULE}The following ciphers have been prohibited by an administrator: RC4, DES",
            ),
        ],
    )
    def test_creations(self, api: Api, root: str, values: dict[str, Any], text: str) -> None:
        """400 naming what is forbidden."""
        given = {"loadbalancer_id": root, "protocol": "HTTP", "protocol_port": 81, **values}
        result = api.call("POST", "/listeners", {"listener": given})
        assert (result.status_code, result.json["faultstring"]) == (400, text)

    def test_versions_below_the_minimum(self, api: Api, root: str) -> None:
        """Each is named."""
        path = f"/listeners/{api.listener(root)['id']}"
        body = {"listener": {"tls_versions": ["TLSv1", "TLSv1.1", "TLSv1.3"]}}
        text = f"{RULE}Requested TLS versions are less than the minimum: TLSv1, TLSv1.1 < TLSv1.2"
        assert api.call("PUT", path, body).json["faultstring"] == text
