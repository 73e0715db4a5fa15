"""The embedded identity as an application on a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from falcon import testing

from statera.cloud.identity.app import create_app
from statera.cloud.identity.installation import bootstrap
from statera.cloud.identity.settings import IdentitySettings
from statera.store.database import Database
from tests.databases import tables

PASSWORD = "the first password"
DEFAULT = {"id": "default"}


@dataclass
class Cloud:
    """A client of the application; `token` is an administrator's."""

    http: testing.TestClient
    database: Database
    settings: IdentitySettings
    token: str = ""

    def call(
        self, method: str, path: str, body: object = None, token: str | None = None, **more: Any
    ) -> testing.Result:
        """Send a request; `token` defaults to the administrator's, "" sends none.

        A body of bytes is sent as it is.
        """
        headers = dict(more.pop("headers", {}))
        chosen = self.token if token is None else token
        if chosen:
            headers["X-Auth-Token"] = chosen
        if isinstance(body, bytes):
            more["body"] = body
            headers.setdefault("Content-Type", "application/json")
        elif body is not None:
            more["json"] = body
        return self.http.simulate_request(method, path, headers=headers, **more)

    def auth(self, body: dict[str, Any], source: str = "127.0.0.1") -> testing.Result:
        """Send an authentication request from an address."""
        return self.http.simulate_post("/v3/auth/tokens", json={"auth": body}, remote_addr=source)

    def login(
        self, name: str = "admin", password: str = PASSWORD, project: str | None = "admin"
    ) -> str:
        """Return a token of a user who must be able to log in."""
        result = self.auth(self.by_password(name, password, project))
        assert result.status_code == 201, result.text
        return result.headers["X-Subject-Token"]

    @staticmethod
    def by_password(name: str, password: str, project: str | None) -> dict[str, Any]:
        """Return the body of a login; without a project, unscoped."""
        user = {"name": name, "domain": DEFAULT, "password": password}
        body: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}}
        if project:
            body["scope"] = {"project": {"name": project, "domain": DEFAULT}}
        return body

    def find(self, kind: str, name: str) -> str:
        """Return the id of the object of that name."""
        return str(self.call("GET", f"/v3/{kind}", params={"name": name}).json[kind][0]["id"])

    def user(self, name: str, role: str = "member", project: str = "demo") -> str:
        """Create a user with password `pw` and a role; return the id."""
        made = self.call("POST", "/v3/users", {"user": {"name": name, "password": "pw"}})
        assert made.status_code == 201, made.text
        user_id = str(made.json["user"]["id"])
        project_id, role_id = self.find("projects", project), self.find("roles", role)
        path = f"/v3/projects/{project_id}/users/{user_id}/roles/{role_id}"
        assert self.call("PUT", path).status_code == 204
        return user_id


@pytest.fixture
def cloud(database_kind: str, tmp_path: Path) -> Iterator[Cloud]:
    """A fresh installation with an administrator's token."""
    settings = IdentitySettings(argon2_time=1, argon2_memory=8, public_url="http://cloud.test")
    with tables(database_kind, tmp_path) as database:
        bootstrap(database, settings, PASSWORD)
        cloud = Cloud(testing.TestClient(create_app(database, settings)), database, settings)
        cloud.token = cloud.login()
        yield cloud
