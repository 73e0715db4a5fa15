"""Health monitors (`spec/api-resources` §5)."""

from __future__ import annotations

from typing import Any

import pytest

from statera.api.settings import ApiSettings
from tests.api.harness import UNKNOWN, Api

RULE = "Validation failure: "
SHOWN = {
    "id", "name", "type", "delay", "timeout", "max_retries", "max_retries_down", "http_method",
    "url_path", "expected_codes", "admin_state_up", "project_id", "tenant_id", "pools",
    "provisioning_status", "operating_status", "created_at", "updated_at", "tags", "http_version",
    "domain_name",
}  # fmt: skip


@pytest.fixture(name="pool")
def pool_fixture(api: Api) -> str:
    """A pool of a new load balancer."""
    pool: str = api.pool(api.load_balancer()["id"])["id"]
    return pool


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        ("HTTP", ("GET", "/", "200")),
        ("HTTPS", ("GET", "/", "200")),
        ("TCP", (None, None, None)),
        ("PING", (None, None, None)),
        ("TLS-HELLO", (None, None, None)),
    ],
)
def test_a_creation_answers_with_what_was_stored(
    api: Api, pool: str, kind: str, defaults: tuple[str | None, ...]
) -> None:
    """HTTP probes have defaults, others none of it."""
    made = api.monitor(pool, type=kind, http_version="1.1", domain_name="a.example.")
    assert made.keys() == SHOWN
    assert made == api.get(f"/healthmonitors/{made['id']}")["healthmonitor"]
    assert (made["http_method"], made["url_path"], made["expected_codes"]) == defaults
    assert (made["pools"], made["max_retries_down"]) == ([{"id": pool}], 3)
    assert made["http_version"] == 1.1


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        ({"pool_id": UNKNOWN}, 404, f"Pool {UNKNOWN} not found."),
        (
            {"type": "TCP", "url_path": "/"},
            400,
            "url_path is not a valid option for health monitors of type TCP",
        ),
        (
            {"type": "PING", "http_method": "GET"},
            400,
            "http_method is not a valid option for health monitors of type PING",
        ),
        (
            {"domain_name": "a.example"},
            400,
            f"{RULE}'http_version' must be specified when 'domain_name' is provided.",
        ),
        (
            {"domain_name": "a.example", "http_version": 1.0},
            400,
            "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name "
            "health check",
        ),
        (
            {"type": "UDP-CONNECT"},
            400,
            f"{RULE}The UDP-CONNECT type is only supported for pools of type UDP/SCTP.",
        ),
        (
            {"type": "SCTP"},
            400,
            f"{RULE}The SCTP type is only supported for pools of type UDP/SCTP.",
        ),
    ],
)
def test_creations_refused(
    api: Api, pool: str, values: dict[str, Any], status: int, text: str
) -> None:
    """With the text of the rule; nothing changes."""
    before = api.snapshot()
    given = {"pool_id": pool, "type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, **values}
    result = api.call("POST", "/healthmonitors", {"healthmonitor": given})
    assert (result.status_code, result.json["faultstring"]) == (status, text)
    assert api.snapshot() == before


def test_a_pool_has_one_monitor(api: Api, pool: str) -> None:
    """The second is 409."""
    api.monitor(pool)
    given = {"pool_id": pool, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
    result = api.call("POST", "/healthmonitors", {"healthmonitor": given})
    text = "This pool already has a health monitor"
    assert (result.status_code, result.json["faultstring"]) == (409, text)


def test_null_restores_defaults(api: Api, pool: str) -> None:
    """Of an HTTP probe; version and domain are cleared."""
    made = api.monitor(
        pool,
        max_retries_down=5,
        http_method="HEAD",
        url_path="/x?y#z",
        expected_codes="200, 204",
        http_version=1.1,
        domain_name="a.example",
    )
    names = (
        "max_retries_down",
        "http_method",
        "url_path",
        "expected_codes",
        "http_version",
        "domain_name",
    )
    path = f"/healthmonitors/{made['id']}"
    shown = api.call("PUT", path, {"healthmonitor": dict.fromkeys(names)}).json["healthmonitor"]
    assert [shown[name] for name in names] == [3, "GET", "/", "200", None, None]


@pytest.mark.parametrize(
    ("kind", "changes", "text"),
    [
        (
            "TCP",
            {"url_path": None},
            "url_path is not a valid option for health monitors of type TCP",
        ),
        (
            "TCP",
            {"expected_codes": "200"},
            "expected_codes is not a valid option for health monitors of type TCP",
        ),
        (
            "HTTP",
            {"http_version": None},
            f"{RULE}'http_version' must be specified when 'domain_name' is provided.",
        ),
        ("HTTP", {"max_retries": None}, "None is not a valid option for max_retries"),
    ],
)
def test_updates_refused(
    api: Api, pool: str, kind: str, changes: dict[str, Any], text: str
) -> None:
    """With the text of the rule; nothing changes."""
    made = api.monitor(pool, type=kind, http_version=1.1, domain_name="a.example")
    before = api.snapshot()
    result = api.call("PUT", f"/healthmonitors/{made['id']}", {"healthmonitor": changes})
    assert (result.status_code, result.json["faultstring"]) == (400, text)
    assert api.snapshot() == before


class TestNoPing:
    """An installation can forbid PING."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Set the option."""
        return ApiSettings(allow_ping_health_monitors=False)

    def test_it_is_refused(self, api: Api, pool: str) -> None:
        """400 naming it."""
        given = {"pool_id": pool, "type": "PING", "delay": 1, "timeout": 1, "max_retries": 1}
        result = api.call("POST", "/healthmonitors", {"healthmonitor": given})
        text = "The selected type is not allowed in this deployment: PING"
        assert (result.status_code, result.json["faultstring"]) == (400, text)
