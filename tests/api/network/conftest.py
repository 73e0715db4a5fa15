"""One Network API on an empty database, and callers of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import falcon.testing
import pytest

from statera.cloud.network.app import create_app
from statera.cloud.network.embedded import EmbeddedNetworks
from statera.cloud.network.settings import NetworkSettings
from statera.lb.caller import Caller
from statera.lb.errors import Retryable, Unauthorized
from statera.service.wake import Wakes
from statera.store.database import Database
from tests.databases import tables

Call = Callable[..., falcon.testing.Result]


class TokenIsCaller:
    """An identity service whose tokens say who is calling: `role project`."""

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        token = headers.get("x-auth-token", "")
        if token == "down":
            raise Retryable("identity is down")
        role, _, project = token.partition(" ")
        if not role:
            raise Unauthorized("no token")
        return Caller(f"{role}-user", project or None, frozenset({role}))


@pytest.fixture
def database(database_kind: str, tmp_path: Path) -> Iterator[Database]:
    with tables(database_kind, tmp_path) as found:
        yield found


@pytest.fixture
def wakes(tmp_path: Path) -> Wakes:
    return Wakes(tmp_path / "wakes")


@pytest.fixture
def client(database: Database, wakes: Wakes) -> falcon.testing.TestClient:
    settings = NetworkSettings(www_authenticate_uri="http://127.0.0.1/identity")
    return falcon.testing.TestClient(create_app(database, TokenIsCaller(), wakes, settings))


@pytest.fixture
def networks(database: Database) -> EmbeddedNetworks:
    return EmbeddedNetworks(database)


def _caller(client: falcon.testing.TestClient, token: str) -> Call:
    def call(method: str, path: str, body: Any = None, **more: Any) -> falcon.testing.Result:
        if body is not None:
            more["body" if isinstance(body, bytes) else "json"] = body
        return client.simulate_request(
            method, f"/v2.0{path}", headers={"X-Auth-Token": token}, **more
        )

    return call


@pytest.fixture
def admin(client: falcon.testing.TestClient) -> Call:
    return _caller(client, "admin operators")


@pytest.fixture
def member(client: falcon.testing.TestClient) -> Call:
    return _caller(client, "member red")


@pytest.fixture
def reader(client: falcon.testing.TestClient) -> Call:
    return _caller(client, "reader red")


@pytest.fixture
def stranger(client: falcon.testing.TestClient) -> Call:
    return _caller(client, "member blue")


@pytest.fixture
def network_id(member: Call) -> str:
    """A network of project red."""
    return str(member("POST", "/networks", {"network": {"name": "n"}}).json["network"]["id"])


@pytest.fixture
def subnet_id(member: Call, network_id: str) -> str:
    """10.1.0.0/24 on that network."""
    body = {"subnet": {"network_id": network_id, "cidr": "10.1.0.0/24", "ip_version": 4}}
    return str(member("POST", "/subnets", body).json["subnet"]["id"])
