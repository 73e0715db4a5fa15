"""Projects, users, roles, assignments, application credentials, the catalogue; and who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from statera.cloud.identity.passwords import Passwords

if TYPE_CHECKING:
    from tests.api.identity.conftest import Cloud


def test_project_life(cloud: Cloud) -> None:
    """Create, show, list by filter, change, delete; names are unique."""
    wish = {"name": "blue", "description": "d", "tags": ["one"], "domain_id": "default"}
    made = cloud.call("POST", "/v3/projects", {"project": {**wish, "options": {}}})
    assert made.status_code == 201
    project = made.json["project"]
    assert {key: project[key] for key in wish} == wish
    assert (project["enabled"], project["is_domain"], project["parent_id"]) == (
        True,
        False,
        "default",
    )
    path = f"/v3/projects/{project['id']}"
    assert project["links"]["self"].endswith(path)
    assert cloud.call("GET", path).json == {"project": project}
    again = cloud.call("POST", "/v3/projects", {"project": {"name": "blue"}})
    assert (again.status_code, again.json["error"]["title"]) == (409, "Conflict")
    assert cloud.call("PATCH", path, {"project": {"name": "demo"}}).status_code == 409
    changed = cloud.call("PATCH", path, {"project": {"name": "red", "description": None}})
    assert (changed.json["project"]["name"], changed.json["project"]["description"]) == ("red", "")
    off = {"name": "off", "enabled": False}
    cloud.call("POST", "/v3/projects", {"project": off})
    listed = cloud.call("GET", "/v3/projects", params={"enabled": "False"}).json
    assert [row["name"] for row in listed["projects"]] == ["off"]
    assert listed["links"]["next"] is None
    assert cloud.call("DELETE", path).status_code == 204
    assert cloud.call("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("wish", "code"),
    [({"domain_id": "other"}, 404), ({"parent_id": "x"}, 400), ({"is_domain": True}, 400)],
)
def test_projects_live_in_the_one_domain(cloud: Cloud, wish: dict[str, Any], code: int) -> None:
    """No other domain, no tree of projects."""
    result = cloud.call("POST", "/v3/projects", {"project": {"name": "x", **wish}})
    assert result.status_code == code


def test_user_life(cloud: Cloud) -> None:
    """Create, show, list, change, delete; a password is never shown."""
    wish = {"name": "ann", "password": "pw", "email": "a@example.com", "description": "d"}
    made = cloud.call("POST", "/v3/users", {"user": wish})
    assert made.status_code == 201
    assert "pw" not in made.text
    user = made.json["user"]
    path = f"/v3/users/{user['id']}"
    assert (user["email"], user["enabled"]) == ("a@example.com", True)
    assert cloud.call("POST", "/v3/users", {"user": wish}).status_code == 409
    assert cloud.call("PATCH", path, {"user": {"email": None}}).status_code == 200
    assert "email" not in cloud.call("GET", path).json["user"]
    assert cloud.call("GET", f"{path}/projects").json["projects"] == []
    assert cloud.call("GET", f"{path}/groups").json["groups"] == []
    assert cloud.call("DELETE", path).status_code == 204
    assert cloud.call("GET", path).status_code == 404


def test_user_without_password_cannot_log_in(cloud: Cloud) -> None:
    """No password is not an empty password."""
    cloud.call("POST", "/v3/users", {"user": {"name": "ann"}})
    assert cloud.auth(cloud.by_password("ann", "None", None)).status_code == 401


def test_own_password(cloud: Cloud) -> None:
    """Users change theirs knowing the old one; all their tokens end; others' they cannot."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    body = {"user": {"original_password": "no", "password": "new"}}
    path = f"/v3/users/{ann}/password"
    assert cloud.call("POST", path, body, token).status_code == 401
    body["user"]["original_password"] = "pw"
    assert cloud.call("POST", path, body).status_code == 403
    assert cloud.call("POST", path, body, token).status_code == 204
    assert cloud.call("GET", "/v3/auth/projects", token=token).status_code == 401
    assert cloud.auth(cloud.by_password("ann", "pw", "demo")).status_code == 401
    assert cloud.login("ann", "new", "demo")


def test_own_change_does_not_overrule_an_administrators(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who knows the old password gains nothing by a change that races with the reset."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    real = Passwords.hash

    def reset_meanwhile(passwords: Passwords, password: str) -> str:
        monkeypatch.setattr(Passwords, "hash", real)
        reset = cloud.call("PATCH", f"/v3/users/{ann}", {"user": {"password": "reset"}})
        assert reset.status_code == 200
        return real(passwords, password)

    monkeypatch.setattr(Passwords, "hash", reset_meanwhile)
    body = {"user": {"original_password": "pw", "password": "thief's"}}
    assert cloud.call("POST", f"/v3/users/{ann}/password", body, token).status_code == 401
    assert cloud.auth(cloud.by_password("ann", "thief's", "demo")).status_code == 401
    assert cloud.login("ann", "reset", "demo")


def test_guessing_the_old_password_is_slowed(cloud: Cloud) -> None:
    """A stolen token is no oracle for the password."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    body = {"user": {"original_password": "no", "password": "new"}}
    codes = [
        cloud.call("POST", f"/v3/users/{ann}/password", body, token).status_code for _ in range(6)
    ]
    assert codes == [401] * 5 + [429]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v3/users"),
        ("POST", "/v3/users"),
        ("GET", "/v3/users/{admin}"),
        ("PATCH", "/v3/users/{ann}"),
        ("DELETE", "/v3/users/{ann}"),
        ("GET", "/v3/users/{admin}/projects"),
        ("GET", "/v3/users/{admin}/application_credentials"),
        ("POST", "/v3/users/{admin}/application_credentials"),
        ("GET", "/v3/projects"),
        ("POST", "/v3/projects"),
        ("GET", "/v3/projects/{other}"),
        ("PATCH", "/v3/projects/{demo}"),
        ("DELETE", "/v3/projects/{demo}"),
        ("POST", "/v3/roles"),
        ("PATCH", "/v3/roles/{role}"),
        ("DELETE", "/v3/roles/{role}"),
        ("GET", "/v3/role_assignments"),
        ("GET", "/v3/projects/{demo}/users/{ann}/roles"),
        ("PUT", "/v3/projects/{demo}/users/{ann}/roles/{role}"),
        ("DELETE", "/v3/projects/{demo}/users/{ann}/roles/{role}"),
        ("HEAD", "/v3/projects/{demo}/users/{ann}/roles/{role}"),
    ],
)
def test_members_are_no_administrators(cloud: Cloud, method: str, path: str) -> None:
    """Writes and foreign reads are refused to members, whatever the body."""
    ids = {
        "ann": cloud.user("ann"),
        "admin": cloud.find("users", "admin"),
        "demo": cloud.find("projects", "demo"),
        "other": cloud.find("projects", "admin"),
        "role": cloud.find("roles", "admin"),
    }
    token = cloud.login("ann", "pw", "demo")
    assert cloud.call(method, path.format(**ids), token=token).status_code == 403


def test_members_see_themselves(cloud: Cloud) -> None:
    """Own user, own project, own assignments, roles, domain and catalogue are readable."""
    ann, demo = cloud.user("ann"), cloud.find("projects", "demo")
    token = cloud.login("ann", "pw", "demo")
    for path in (
        f"/v3/users/{ann}",
        f"/v3/users/{ann}/projects",
        f"/v3/projects/{demo}",
        f"/v3/role_assignments?user.id={ann}",
        "/v3/roles",
        "/v3/domains/default",
        "/v3/services",
        "/v3/endpoints",
        "/v3/regions/RegionOne",
    ):
        assert cloud.call("GET", path, token=token).status_code == 200


def test_role_life(cloud: Cloud) -> None:
    """Own roles come and go; the three built-in ones stay as they are."""
    made = cloud.call("POST", "/v3/roles", {"role": {"name": "operator"}})
    assert made.status_code == 201
    path = f"/v3/roles/{made.json['role']['id']}"
    assert cloud.call("POST", "/v3/roles", {"role": {"name": "operator"}}).status_code == 409
    changed = cloud.call("PATCH", path, {"role": {"description": "d"}})
    assert changed.json["role"]["description"] == "d"
    assert cloud.call("DELETE", path).status_code == 204
    assert cloud.call("GET", path).status_code == 404
    for name in ("admin", "member", "reader"):
        path = f"/v3/roles/{cloud.find('roles', name)}"
        assert cloud.call("DELETE", path).status_code == 403
        assert cloud.call("PATCH", path, {"role": {"name": "x"}}).status_code == 403


def test_grants(cloud: Cloud) -> None:
    """PUT gives (twice is once), HEAD and GET tell, DELETE takes; unknown ids are 404."""
    ann, demo = cloud.user("ann", "reader"), cloud.find("projects", "demo")
    roles = f"/v3/projects/{demo}/users/{ann}/roles"
    path = f"{roles}/{cloud.find('roles', 'member')}"
    assert cloud.call("HEAD", path).status_code == 404
    for _ in range(2):
        assert cloud.call("PUT", path).status_code == 204
    assert cloud.call("HEAD", path).status_code == 204
    assert cloud.call("GET", path).status_code == 204
    names = [role["name"] for role in cloud.call("GET", roles).json["roles"]]
    assert names == ["member", "reader"]
    assert cloud.call("DELETE", path).status_code == 204
    assert cloud.call("DELETE", path).status_code == 404
    for wrong in (f"{roles}/x", path.replace(demo, "x"), path.replace(ann, "x")):
        assert cloud.call("PUT", wrong).status_code == 404


def test_role_assignments(cloud: Cloud) -> None:
    """Filters, names, and the roles that follow."""
    ann, demo = cloud.user("ann", "member"), cloud.find("projects", "demo")

    def listed(**params: str) -> list[dict[str, Any]]:
        found = cloud.call("GET", "/v3/role_assignments", params=params)
        rows: list[dict[str, Any]] = found.json["role_assignments"]
        return rows

    assert len(listed()) == 3
    (row,) = listed(**{"user.id": ann})
    assert row["user"] == {"id": ann}
    assert row["scope"] == {"project": {"id": demo}}
    assert row["links"]["assignment"].endswith(f"/users/{ann}/roles/{row['role']['id']}")
    (named,) = listed(**{"user.id": ann, "include_names": "True", "scope.project.id": demo})
    assert named["role"]["name"] == "member"
    assert named["scope"]["project"]["domain"]["name"] == "Default"
    effective = listed(**{"user.id": ann, "effective": "", "include_names": "1"})
    assert sorted(row["role"]["name"] for row in effective) == ["member", "reader"]
    assert len(listed(**{"role.id": cloud.find("roles", "reader"), "effective": "1"})) == 3
    assert listed(**{"group.id": "x"}) == []
    assert listed(**{"scope.system": "all"}) == []


def test_catalogue_objects(cloud: Cloud) -> None:
    """Services, endpoints and regions, filtered by attribute."""
    (service,) = cloud.call("GET", "/v3/services", params={"type": "load-balancer"}).json[
        "services"
    ]
    assert service["name"] == "octavia"
    endpoints = cloud.call(
        "GET", "/v3/endpoints", params={"service_id": service["id"], "interface": "public"}
    ).json["endpoints"]
    assert [endpoint["url"] for endpoint in endpoints] == ["http://cloud.test/load-balancer"]
    shown = cloud.call("GET", f"/v3/endpoints/{endpoints[0]['id']}").json["endpoint"]
    assert shown["region_id"] == "RegionOne"
    assert [row["id"] for row in cloud.call("GET", "/v3/regions").json["regions"]] == ["RegionOne"]
    assert [row["name"] for row in cloud.call("GET", "/v3/domains").json["domains"]] == ["Default"]
