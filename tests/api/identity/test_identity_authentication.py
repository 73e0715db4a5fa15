"""POST, GET, HEAD and DELETE of /v3/auth/tokens, discovery, and what kills a token."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from falcon import testing

from statera.cloud.identity.app import create_app

if TYPE_CHECKING:
    from tests.api.identity.conftest import Cloud

DEFAULT = {"id": "default"}


def test_discovery_follows_the_mount_point(cloud: Cloud) -> None:
    """`/` answers 300 with one version, `/v3` that version; links have the client's prefix."""
    app = testing.TestClient(create_app(cloud.database, cloud.settings))
    root = app.simulate_get("/", root_path="/identity", host="cloud.test", protocol="https")
    assert root.status_code == 300
    (version,) = root.json["versions"]["values"]
    assert (version["id"], version["status"]) == ("v3.14", "stable")
    assert version["links"] == [{"rel": "self", "href": "https://cloud.test/identity/v3/"}]
    for path in ("/v3", "/v3/"):
        shown = app.simulate_get(path, root_path="/identity", host="cloud.test", protocol="https")
        assert (shown.status_code, shown.json) == (200, {"version": version})


def test_token_body_by_password(cloud: Cloud) -> None:
    """A scoped token shows user, project, implied roles, catalogue and times."""
    result = cloud.auth(cloud.by_password("admin", "the first password", "demo"))
    token = result.json["token"]
    assert result.status_code == 201
    assert result.headers["X-Subject-Token"]
    assert token["methods"] == ["password"]
    assert token["user"]["name"] == "admin"
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["project"]["name"] == "demo"
    assert [role["name"] for role in token["roles"]] == ["admin", "member", "reader"]
    assert token["is_domain"] is False
    assert len(token["audit_ids"]) == 1
    assert token["issued_at"] < token["expires_at"]
    urls = {
        service["type"]: {endpoint["url"] for endpoint in service["endpoints"]}
        for service in token["catalog"]
    }
    assert urls == {
        "identity": {"http://cloud.test/identity"},
        "load-balancer": {"http://cloud.test/load-balancer"},
        "network": {"http://cloud.test/network"},
    }


def test_scopes(cloud: Cloud) -> None:
    """By project id, without a scope, `unscoped`, and by the default project."""
    demo = cloud.find("projects", "demo")
    body = cloud.by_password("admin", "the first password", None)
    unscoped = cloud.auth(body).json["token"]
    assert "project" not in unscoped
    assert "catalog" not in unscoped
    by_id = cloud.auth({**body, "scope": {"project": {"id": demo}}}).json["token"]
    assert by_id["project"]["id"] == demo
    admin = cloud.find("users", "admin")
    cloud.call("PATCH", f"/v3/users/{admin}", {"user": {"default_project_id": demo}})
    assert cloud.auth(body).json["token"]["project"]["id"] == demo
    unscoped_both_ways: list[object] = ["unscoped", {"unscoped": {}}]
    for scope in unscoped_both_ways:
        assert "project" not in cloud.auth({**body, "scope": scope}).json["token"]
    cloud.call("PATCH", f"/v3/users/{admin}", {"user": {"default_project_id": "gone"}})
    assert "project" not in cloud.auth(body).json["token"]


def test_nocatalog(cloud: Cloud) -> None:
    """`?nocatalog` leaves the catalogue out, at issue and at validation."""
    body = {"auth": cloud.by_password("admin", "the first password", "demo")}
    made = cloud.call("POST", "/v3/auth/tokens?nocatalog", body)
    assert "catalog" not in made.json["token"]
    headers = {"X-Subject-Token": made.headers["X-Subject-Token"]}
    assert "catalog" in cloud.call("GET", "/v3/auth/tokens", headers=headers).json["token"]
    short = cloud.call("GET", "/v3/auth/tokens", headers=headers, query_string="nocatalog=1")
    assert "catalog" not in short.json["token"]


def test_rescoping_keeps_the_end_and_the_chain(cloud: Cloud) -> None:
    """A token made from a token ends when that one ends and names it."""
    first = cloud.auth(cloud.by_password("admin", "the first password", None))
    body = {
        "identity": {"methods": ["token"], "token": {"id": first.headers["X-Subject-Token"]}},
        "scope": {"project": {"name": "demo", "domain": {"name": "Default"}}},
    }
    second = cloud.auth(body).json["token"]
    assert second["expires_at"] == first.json["token"]["expires_at"]
    assert second["audit_ids"][1:] == first.json["token"]["audit_ids"]
    assert sorted(second["methods"]) == ["password", "token"]


@pytest.mark.parametrize(
    ("name", "password", "project"),
    [
        ("admin", "wrong", "demo"),
        ("nobody", "the first password", "demo"),
        ("admin", "the first password", "nowhere"),
        ("no roles", "pw", "demo"),
    ],
)
def test_refused_logins_look_the_same(cloud: Cloud, name: str, password: str, project: str) -> None:
    """Whatever is wrong, the answer is one: 401, Keystone's envelope, where to log in."""
    cloud.call("POST", "/v3/users", {"user": {"name": "no roles", "password": "pw"}})
    result = cloud.auth(cloud.by_password(name, password, project))
    assert result.status_code == 401
    assert result.json == {
        "error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }
    assert result.headers["WWW-Authenticate"].startswith('Keystone uri="http')


@pytest.mark.parametrize("scope", [{"domain": DEFAULT}, {"system": {"all": True}}])
def test_scopes_that_we_lack(cloud: Cloud, scope: dict[str, Any]) -> None:
    """Nobody has roles on the domain or the system."""
    body = {**cloud.by_password("admin", "the first password", None), "scope": scope}
    assert cloud.auth(body).status_code == 401


def test_guessing_is_answered_429_without_harm_to_others(cloud: Cloud) -> None:
    """After five failures 429 with Retry-After, even with the right password; not elsewhere."""
    wrong = cloud.by_password("admin", "wrong", "demo")
    right = cloud.by_password("admin", "the first password", "demo")
    answers = [cloud.auth(wrong, "192.0.2.1").status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]
    blocked = cloud.auth(right, "192.0.2.1")
    assert (blocked.status_code, blocked.headers["Retry-After"]) == (429, "1")
    assert blocked.json["error"]["code"] == 429
    assert cloud.auth(right, "192.0.2.2").status_code == 201


def test_validate_and_revoke(cloud: Cloud) -> None:
    """GET and HEAD tell whether a token holds, DELETE ends it, 404 afterwards."""
    cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    subject = {"X-Subject-Token": token}
    for actor in (cloud.token, token):
        shown = cloud.call("GET", "/v3/auth/tokens", token=actor, headers=subject)
        assert shown.json["token"]["user"]["name"] == "ann"
    assert cloud.call("HEAD", "/v3/auth/tokens", headers=subject).status_code == 200
    assert cloud.call("DELETE", "/v3/auth/tokens", headers=subject).status_code == 204
    assert cloud.call("GET", "/v3/auth/tokens", headers=subject).status_code == 404
    assert cloud.call("GET", "/v3/auth/projects", token=token).status_code == 401


def test_foreign_tokens_are_for_administrators(cloud: Cloud) -> None:
    """A member can neither look at nor revoke another user's token; nobody can without one."""
    cloud.user("ann")
    ann = cloud.login("ann", "pw", "demo")
    subject = {"X-Subject-Token": cloud.token}
    for method in ("GET", "DELETE"):
        assert cloud.call(method, "/v3/auth/tokens", token=ann, headers=subject).status_code == 403
        assert cloud.call(method, "/v3/auth/tokens", token="", headers=subject).status_code == 401
    assert cloud.call("GET", "/v3/auth/tokens").status_code == 400


def test_changes_end_tokens_at_once(cloud: Cloud) -> None:
    """New password, disabled user or project: dead, and re-enabling revives nothing."""
    ann, demo = cloud.user("ann"), cloud.find("projects", "demo")
    changes: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (f"/v3/users/{ann}", {"user": {"password": "pw"}}, {"user": {}}),
        (f"/v3/users/{ann}", {"user": {"enabled": False}}, {"user": {"enabled": True}}),
        (f"/v3/projects/{demo}", {"project": {"enabled": False}}, {"project": {"enabled": True}}),
    ]
    for path, change, back in changes:
        token = cloud.login("ann", "pw", "demo")
        assert cloud.call("GET", "/v3/auth/catalog", token=token).status_code == 200
        assert cloud.call("PATCH", path, change).status_code == 200
        assert cloud.call("GET", "/v3/auth/catalog", token=token).status_code == 401
        assert cloud.call("PATCH", path, back).status_code == 200
        assert cloud.call("GET", "/v3/auth/catalog", token=token).status_code == 401


def test_role_changes_show_in_living_tokens(cloud: Cloud) -> None:
    """A role taken away is gone from tokens already issued; with the last role the token dies."""
    ann, demo = cloud.user("ann", "admin"), cloud.find("projects", "demo")
    token = cloud.login("ann", "pw", "demo")
    roles = f"/v3/projects/{demo}/users/{ann}/roles"
    reader, admin = cloud.find("roles", "reader"), cloud.find("roles", "admin")
    assert cloud.call("GET", "/v3/users", token=token).status_code == 200
    cloud.call("PUT", f"{roles}/{reader}")
    cloud.call("DELETE", f"{roles}/{admin}")
    assert cloud.call("GET", "/v3/users", token=token).status_code == 403
    cloud.call("DELETE", f"{roles}/{reader}")
    assert cloud.call("GET", "/v3/users", token=token).status_code == 401


def test_old_hash_is_renewed_at_login(cloud: Cloud) -> None:
    """A login with today's cheaper or dearer parameters replaces the hash; tokens live on."""
    dearer = dataclasses.replace(cloud.settings, argon2_time=2)
    app = testing.TestClient(create_app(cloud.database, dearer))
    body = {"auth": cloud.by_password("admin", "the first password", "demo")}
    for _ in range(2):
        assert app.simulate_post("/v3/auth/tokens", json=body).status_code == 201
    assert cloud.call("GET", "/v3/users").status_code == 200
    assert cloud.login()


def test_what_the_caller_can_reach(cloud: Cloud) -> None:
    """/auth/projects lists enabled projects with a role, /auth/catalog the services."""
    cloud.user("ann")
    token = cloud.login("ann", "pw", None)
    mine = cloud.call("GET", "/v3/auth/projects", token=token).json["projects"]
    assert [project["name"] for project in mine] == ["demo"]
    assert len(cloud.call("GET", "/v3/auth/catalog", token=token).json["catalog"]) == 3
    assert cloud.call("GET", "/v3/auth/domains", token=token).json["domains"] == []
