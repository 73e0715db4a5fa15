"""Application credentials: what they give, and what ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from falcon import testing

if TYPE_CHECKING:
    from tests.api.identity.conftest import Cloud


def _make(cloud: Cloud, user_id: str, token: str, **wish: Any) -> testing.Result:
    body = {"application_credential": {"name": "robot", **wish}}
    return cloud.call("POST", f"/v3/users/{user_id}/application_credentials", body, token)


def _login(cloud: Cloud, credential: dict[str, Any]) -> testing.Result:
    given = {"id": credential["id"], "secret": credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": given}
    return cloud.auth({"identity": identity})


def test_login_by_id_and_by_name(cloud: Cloud) -> None:
    """The secret is shown once; id, or name and user, log in to the project."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    made = _make(cloud, ann, token)
    assert made.status_code == 201
    robot = made.json["application_credential"]
    path = f"/v3/users/{ann}/application_credentials"
    shown = cloud.call("GET", f"{path}/{robot['id']}", token=token).json["application_credential"]
    assert "secret" not in shown
    assert [role["name"] for role in shown["roles"]] == ["member", "reader"]
    listed = cloud.call("GET", path, token=token, params={"name": "robot"}).json
    assert [row["id"] for row in listed["application_credentials"]] == [robot["id"]]
    given = {
        "name": "robot",
        "secret": robot["secret"],
        "user": {"name": "ann", "domain": {"id": "default"}},
    }
    by_name = cloud.auth(
        {"identity": {"methods": ["application_credential"], "application_credential": given}}
    )
    for result in (_login(cloud, robot), by_name):
        assert result.status_code == 201, result.text
        body = result.json["token"]
        assert body["project"]["name"] == "demo"
        assert body["application_credential"] == {
            "id": robot["id"],
            "name": "robot",
            "restricted": True,
        }


def test_roles_are_at_most_the_owners(cloud: Cloud) -> None:
    """A credential gives its roles as far as the user still has them, and no others."""
    ann, demo = cloud.user("ann", "member"), cloud.find("projects", "demo")
    token = cloud.login("ann", "pw", "demo")
    assert _make(cloud, ann, token, roles=[{"name": "admin"}]).status_code == 400
    assert _make(cloud, ann, token, roles=[]).status_code == 400
    robot = _make(cloud, ann, token, roles=[{"name": "reader"}]).json["application_credential"]
    result = _login(cloud, robot)
    assert [role["name"] for role in result.json["token"]["roles"]] == ["reader"]
    issued = result.headers["X-Subject-Token"]
    assert cloud.call("GET", "/v3/auth/catalog", token=issued).status_code == 200
    cloud.call("DELETE", f"/v3/projects/{demo}/users/{ann}/roles/{cloud.find('roles', 'member')}")
    assert cloud.call("GET", "/v3/auth/catalog", token=issued).status_code == 401
    assert _login(cloud, robot).status_code == 401


def test_deletion_ends_tokens(cloud: Cloud) -> None:
    """With the credential its tokens die, and nobody logs in with it."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    robot = _make(cloud, ann, token).json["application_credential"]
    issued = _login(cloud, robot).headers["X-Subject-Token"]
    path = f"/v3/users/{ann}/application_credentials/{robot['id']}"
    assert cloud.call("DELETE", path, token=token).status_code == 204
    assert cloud.call("GET", "/v3/auth/catalog", token=issued).status_code == 401
    assert _login(cloud, robot).status_code == 401
    assert cloud.call("DELETE", path, token=token).status_code == 404


def test_restricted_by_default(cloud: Cloud) -> None:
    """A credential's token makes no credentials unless it is unrestricted, and is not exchanged."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    robot = _make(cloud, ann, token).json["application_credential"]
    issued = _login(cloud, robot).headers["X-Subject-Token"]
    assert _make(cloud, ann, issued, name="second").status_code == 403
    own = f"/v3/users/{ann}/application_credentials/{robot['id']}"
    assert cloud.call("DELETE", own, token=issued).status_code == 403
    exchange = {"identity": {"methods": ["token"], "token": {"id": issued}}}
    assert cloud.auth(exchange).status_code == 403
    free = _make(cloud, ann, token, name="free", unrestricted=True).json["application_credential"]
    issued = _login(cloud, free).headers["X-Subject-Token"]
    assert _make(cloud, ann, issued, name="second").status_code == 201


def test_end_bounds_the_token(cloud: Cloud) -> None:
    """`expires_at` in the past is refused; a token ends no later than its credential."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    assert _make(cloud, ann, token, expires_at="2020-01-01T00:00:00").status_code == 400
    made = _make(cloud, ann, token, expires_at="2100-01-01T00:00:00Z")
    robot = made.json["application_credential"]
    assert robot["expires_at"] == "2100-01-01T00:00:00.000000"
    assert _login(cloud, robot).json["token"]["expires_at"] < "2100"


@pytest.mark.parametrize(
    "wish",
    [
        {"name": ""},
        {"expires_at": "soon"},
        {"expires_at": "9999-99-99"},
        {"expires_at": "0001-01-01T00:00:00+14:00"},
        {"expires_at": "9999-12-31T23:59:59-23:59"},
        {"roles": "member"},
        {"roles": [{}]},
        {"unrestricted": "yes"},
        {"access_rules": [{"path": "/v2"}]},
    ],
)
def test_refused_wishes(cloud: Cloud, wish: dict[str, Any]) -> None:
    """What we cannot keep is refused, and not kept in part."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    assert _make(cloud, ann, token, **wish).status_code == 400
    listed = cloud.call("GET", f"/v3/users/{ann}/application_credentials")
    assert listed.json["application_credentials"] == []


def test_names_are_unique_and_secrets_checked(cloud: Cloud) -> None:
    """409 for a second one of that name; a wrong secret is slowed like a password."""
    ann = cloud.user("ann")
    token = cloud.login("ann", "pw", "demo")
    robot = _make(cloud, ann, token, secret="chosen").json["application_credential"]
    assert robot["secret"] == "chosen"
    assert _make(cloud, ann, token).status_code == 409
    codes = [_login(cloud, {**robot, "secret": "wrong"}).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    unscoped = cloud.login("ann", "pw", None)
    assert _make(cloud, ann, unscoped, name="other").status_code == 400
