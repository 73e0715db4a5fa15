"""Pools and their session persistence (`spec/api-resources` §3)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.harness import UNKNOWN, Api

RULE = "Validation failure: "
UNSUPPORTED = "Provider 'amphora' does not support a requested option: "

SHOWN = {
    "id", "name", "description", "provisioning_status", "operating_status", "admin_state_up",
    "protocol", "lb_algorithm", "session_persistence", "project_id", "tenant_id", "loadbalancers",
    "listeners", "created_at", "updated_at", "members", "tags", "tls_container_ref",
    "ca_tls_container_ref", "crl_container_ref", "tls_enabled", "tls_ciphers", "tls_versions",
    "alpn_protocols",
}  # fmt: skip
NOTHING = {"persistence_timeout": None, "persistence_granularity": None}
BOTH = "Must provide at least one of: loadbalancer_id, listener_id"


@pytest.fixture(name="root")
def root_fixture(api: Api) -> str:
    """A load balancer."""
    root: str = api.load_balancer()["id"]
    return root


def test_a_creation_answers_with_what_was_stored(api: Api, root: str) -> None:
    """The monitor's id is there only when there is a monitor."""
    made = api.pool(root, tags=["a"])
    assert made.keys() == SHOWN
    assert made == api.get(f"/pools/{made['id']}")["pool"]
    assert (made["loadbalancers"], made["listeners"], made["members"]) == ([{"id": root}], [], [])
    monitor = api.monitor(made["id"])["id"]
    members = [api.member(made["id"], f"10.0.0.{n}")["id"] for n in (1, 2)]
    shown = api.get(f"/pools/{made['id']}")["pool"]
    assert shown["healthmonitor_id"] == monitor
    assert shown["members"] == [{"id": member} for member in members]


def test_a_pool_becomes_the_default_pool_of_its_listener(api: Api, root: str) -> None:
    """With or without the load balancer named; a second one is 409."""
    listener = api.listener(root)["id"]
    made = api.pool(None, listener_id=listener)
    assert made["listeners"] == [{"id": listener}]
    shown = api.get(f"/listeners/{listener}")["listener"]
    assert shown["default_pool_id"] == made["id"]
    given = {"listener_id": listener, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    result = api.call("POST", "/pools", {"pool": given})
    text = "This listener already has a default pool"
    assert (result.status_code, result.json["faultstring"]) == (409, text)
    other = api.listener(root, protocol_port=81)["id"]
    assert api.pool(root, listener_id=other)["listeners"] == [{"id": other}]


CREATIONS: list[tuple[dict[str, Any], int, str]] = [
    ({"loadbalancer_id": None}, 400, RULE + BOTH),
    ({"loadbalancer_id": UNKNOWN}, 404, f"Load Balancer {UNKNOWN} not found."),
    ({"loadbalancer_id": None, "listener_id": UNKNOWN}, 404, f"Listener {UNKNOWN} not found."),
    ({"listener_id": UNKNOWN}, 404, f"Listener {UNKNOWN} not found."),
    (
        {"crl_container_ref": "good"},
        400,
        f"{RULE}A CA certificate reference is required to specify a revocation list.",
    ),
    ({"tls_container_ref": "bad"}, 400, "Could not retrieve certificate: bad"),
    ({"tls_enabled": True, "tls_versions": ["x"]}, 400, f"{RULE}Invalid TLS versions: x"),
    (
        {"session_persistence": {"cookie_name": "a"}},
        400,
        "Invalid input for field/attribute type. Value: 'None'. Mandatory field missing.",
    ),
    (
        {"session_persistence": {"type": "APP_COOKIE"}},
        400,
        f'{RULE}Field "cookie_name" must be specified when using the "APP_COOKIE" session '
        "persistence type.",
    ),
    (
        {"session_persistence": {"type": "HTTP_COOKIE", "cookie_name": "a"}},
        400,
        f'{RULE}Field "cookie_name" can only be specified with session persistence of type '
        '"APP_COOKIE".',
    ),
    (
        {"session_persistence": {"type": "APP_COOKIE", "cookie_name": "a(b"}},
        400,
        f'{RULE}Supplied "cookie_name" is invalid.',
    ),
    (
        {"session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 5}},
        400,
        f"{RULE}persistence_timeout and persistence_granularity is only for UDP and SCTP protocol "
        "pools.",
    ),
    (
        {"protocol": "UDP", "session_persistence": {"type": "HTTP_COOKIE"}},
        400,
        f"{RULE}Session persistence of type HTTP_COOKIE is not supported for UDP/SCTP protocol "
        "pools.",
    ),
    (
        {"protocol": "UDP", "session_persistence": {"type": "SOURCE_IP", "cookie_name": "a"}},
        400,
        f"{RULE}Cookie names are not supported for UDP/SCTP pools.",
    ),
    (
        {"lb_algorithm": "SOURCE_IP_PORT"},
        501,
        f"{UNSUPPORTED}Amphora provider does not support SOURCE_IP_PORT algorithm.",
    ),
    ({"protocol": "SCTP"}, 501, f"{UNSUPPORTED}SCTP protocol pools are not supported."),
    ({"tls_enabled": True}, 501, f"{UNSUPPORTED}TLS towards members is not supported."),
    ({"tls_container_ref": "good"}, 501, f"{UNSUPPORTED}TLS towards members is not supported."),
]


@pytest.mark.parametrize(("values", "status", "text"), CREATIONS)
def test_creations_refused(
    api: Api, root: str, values: dict[str, Any], status: int, text: str
) -> None:
    """With the text of the rule; nothing changes."""
    before = api.snapshot()
    given = {"loadbalancer_id": root, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **values}
    result = api.call("POST", "/pools", {"pool": given})
    assert (result.status_code, result.json["faultstring"]) == (status, text)
    assert api.snapshot() == before


APP = {"type": "APP_COOKIE", "cookie_name": "a", **NOTHING}
PERSISTENCES: list[tuple[dict[str, Any] | None, dict[str, Any] | None, Any]] = [
    (APP, {}, APP),
    (APP, None, None),
    (APP, {"cookie_name": "b"}, {**APP, "cookie_name": "b"}),
    (APP, {"type": "APP_COOKIE"}, APP),
    (APP, {"type": "SOURCE_IP"}, {"type": "SOURCE_IP", "cookie_name": None, **NOTHING}),
    (APP, {"type": "HTTP_COOKIE", "cookie_name": "b"}, 400),
    (APP, {"cookie_name": None}, 400),
    (None, {"type": "HTTP_COOKIE"}, {"type": "HTTP_COOKIE", "cookie_name": None, **NOTHING}),
    (None, {}, 400),
    (None, {"cookie_name": "b"}, 400),
    (None, None, None),
]


@pytest.mark.parametrize(("old", "change", "expected"), PERSISTENCES)
def test_session_persistence_changes(
    api: Api, root: str, old: Any, change: Any, expected: Any
) -> None:
    """What is not named stays as long as the type does."""
    pool = api.pool(root, session_persistence=old)["id"]
    result = api.call("PUT", f"/pools/{pool}", {"pool": {"session_persistence": change}})
    if expected == 400:
        assert result.status_code == 400
        expected = old
    else:
        assert result.json["pool"]["session_persistence"] == expected
    assert api.get(f"/pools/{pool}")["pool"]["session_persistence"] == expected


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        (
            {"session_persistence": {"type": "SOURCE_IP", "persistence_granularity": "255.0.0.0"}},
            400,
            f"{RULE}persistence_timeout and persistence_granularity is only for UDP protocol "
            "pools.",
        ),
        (
            {"crl_container_ref": "good"},
            400,
            f"{RULE}A CA reference is required to specify a certificate revocation list.",
        ),
        ({"tls_versions": []}, 400, None),
        ({"tls_enabled": True}, 501, f"{UNSUPPORTED}TLS towards members is not supported."),
        ({"lb_algorithm": "SOURCE_IP_PORT"}, 501, None),
    ],
)
def test_updates_refused(
    api: Api, root: str, changes: dict[str, Any], status: int, text: str | None
) -> None:
    """With the text of the rule; nothing changes."""
    pool = api.pool(root)["id"]
    before = api.snapshot()
    result = api.call("PUT", f"/pools/{pool}", {"pool": changes})
    assert result.status_code == status
    assert text in (None, result.json["faultstring"])
    assert api.snapshot() == before


def test_null_restores_defaults(api: Api, root: str) -> None:
    """And TLS options become the configured ones, ALPN none."""
    pool = api.pool(root, name="a", description="b")["id"]
    nulls: dict[str, Any] = dict.fromkeys(
        ("name", "description", "tls_ciphers", "tls_versions", "alpn_protocols", "tls_enabled")
    )
    shown = api.call("PUT", f"/pools/{pool}", {"pool": nulls}).json["pool"]
    assert (shown["name"], shown["description"], shown["tls_enabled"]) == ("", "", False)
    assert shown["tls_versions"] == ["TLSv1.2", "TLSv1.3"]
    assert shown["alpn_protocols"] is None


def test_deleting_a_shared_pool_detaches_every_listener(api: Api, root: str) -> None:
    """At once, and the listeners show it."""
    pool = api.pool(root)["id"]
    listeners = [
        api.listener(root, protocol_port=port, default_pool_id=pool)["id"] for port in (80, 81)
    ]
    assert api.get(f"/pools/{pool}")["pool"]["listeners"] == [{"id": one} for one in listeners]
    assert api.call("DELETE", f"/pools/{pool}").status_code == 204
    for one in listeners:
        assert api.get(f"/listeners/{one}")["listener"]["default_pool_id"] is None
    shown = api.get(f"/pools/{pool}")["pool"]
    assert (shown["provisioning_status"], shown["listeners"]) == ("PENDING_DELETE", [])
    body = {"listener": {"default_pool_id": pool}}
    assert api.call("PUT", f"/listeners/{listeners[0]}", body).status_code == 409
