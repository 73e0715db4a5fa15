"""The embedded cloud on all three databases: its life, and many doing one thing at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

import msgspec
import pytest
import sqlalchemy as sa
from falcon import testing

from statera.cloud.identity.app import create_app as create_identity
from statera.cloud.identity.embedded import EmbeddedIdentity
from statera.cloud.identity.installation import bootstrap
from statera.cloud.identity.keys import rotate_keys
from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.tables import assignment, project, role, signing_key, user
from statera.cloud.identity.tokens import Tokens
from statera.cloud.network.app import create_app as create_network
from statera.cloud.network.embedded import EmbeddedNetworks
from statera.cloud.network.settings import NetworkSettings
from statera.edges.network.protocol import PortRequest
from statera.lb.errors import Unauthorized
from statera.service.wake import Wakes
from statera.spec.document import NetworkSpec
from statera.store.database import Database
from statera.store.tables.placement import document
from statera.store.types import now

T = TypeVar("T")
THREADS = 6
SETTINGS = IdentitySettings(argon2_time=1, argon2_memory=8)
PASSWORD = "the first password"


def together(work: Callable[[int], T]) -> list[T]:
    """Return what `work` gives for each number when all start at once."""
    barrier = Barrier(THREADS)

    def run(number: int) -> T:
        barrier.wait(timeout=10)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def count(database: Database, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    """Return how many rows there are."""
    statement = sa.select(sa.func.count()).select_from(table).where(*where)
    return database.read(lambda connection: connection.scalar(statement)) or 0


class Cloud:
    """Both APIs on one database, and the edges that the core uses."""

    def __init__(self, database: Database, other: Database, wakes: Path) -> None:
        self.database = database
        self.identity = EmbeddedIdentity(other, SETTINGS)
        """In another process, as far as the database can tell."""
        self.networks = EmbeddedNetworks(other)
        self.logins = testing.TestClient(create_identity(database, SETTINGS))
        self.nets = testing.TestClient(
            create_network(database, self.identity, Wakes(wakes), NetworkSettings())
        )
        self.token = ""

    def login(self, name: str = "admin", password: str = PASSWORD) -> str:
        """Return a token for the project `demo`, empty when the login is refused."""
        domain = {"id": "default"}
        who = {"name": name, "domain": domain, "password": password}
        identity = {"methods": ["password"], "password": {"user": who}}
        scope = {"project": {"name": "demo", "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        result = self.logins.simulate_post("/v3/auth/tokens", json=body)
        assert result.status_code in {201, 401}, result.text
        return str(result.headers.get("X-Subject-Token", ""))

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> testing.Result:
        """Send a request as the administrator; `/v2.0` leads to the network service."""
        client = self.nets if path.startswith("/v2.0") else self.logins
        headers = {"X-Auth-Token": self.token, **headers}
        return client.simulate_request(method, path, json=body, headers=headers)

    def holds(self, token: str) -> bool:
        """Tell whether another process accepts the token."""
        try:
            self.identity.authenticate({"x-auth-token": token})
        except Unauthorized:
            return False
        return True

    def member(self, name: str) -> str:
        """Create a user with password `pw` and a role on `demo`; return the id."""
        made = self.call("POST", "/v3/users", {"user": {"name": name, "password": "pw"}})
        assert made.status_code == 201, made.text
        user_id = str(made.json["user"]["id"])
        grant = f"/v3/projects/{self.find(project, 'demo')}/users/{user_id}/roles/"
        assert self.call("PUT", grant + self.find(role, "member")).status_code == 204
        return user_id

    def find(self, table: sa.Table, name: str) -> str:
        """Return the id of the row of that name."""
        statement = sa.select(table.c.id).where(table.c.name == name)
        return str(self.database.read(lambda connection: connection.scalar(statement)))

    def network(self, cidr: str) -> tuple[str, str]:
        """Create a network with a subnet; return the ids of both."""
        made = self.call("POST", "/v2.0/networks", {"network": {"name": "n"}})
        network_id = str(made.json["network"]["id"])
        wish = {"subnet": {"network_id": network_id, "cidr": cidr, "ip_version": 4}}
        made = self.call("POST", "/v2.0/subnets", wish)
        assert made.status_code == 201, made.text
        return network_id, str(made.json["subnet"]["id"])


@pytest.fixture
def cloud(database: Database, tmp_path: Path) -> Iterator[Cloud]:
    """An installation of two processes, with an administrator's token."""
    bootstrap(database, SETTINGS, PASSWORD)
    other = Database(database.engine.url.render_as_string(hide_password=False), durable=False)
    cloud = Cloud(database, other, tmp_path / "wakes")
    cloud.token = cloud.login()
    yield cloud
    other.close()


def test_simultaneous_installations(database: Database) -> None:
    """One of them makes the user; every one ends well, and all is there once."""
    made = together(lambda _: bootstrap(database, SETTINGS))
    assert len([each for each in made if each.password]) == 1
    tables = (user, project, role, assignment)
    assert [count(database, table) for table in tables] == [1, 2, 3, 2]


def test_tokens_die_at_once_everywhere(cloud: Cloud) -> None:
    """Revoked, a new password, disabled, the role taken: another process refuses the next use."""
    ann = cloud.member("ann")
    grant = f"/v3/projects/{cloud.find(project, 'demo')}/users/{ann}/roles/"
    grant += cloud.find(role, "member")
    first, second = cloud.login("ann", "pw"), cloud.login("ann", "pw")
    assert cloud.holds(first)
    cloud.call("DELETE", "/v3/auth/tokens", **{"X-Subject-Token": first})
    assert (cloud.holds(first), cloud.holds(second)) == (False, True)
    changes: list[tuple[str, str, Any, Any]] = [
        ("PATCH", f"/v3/users/{ann}", {"password": "other"}, {"password": "pw"}),
        ("PATCH", f"/v3/users/{ann}", {"enabled": False}, {"enabled": True}),
        ("DELETE", grant, None, None),
        ("DELETE", f"/v3/users/{ann}", None, None),
    ]
    for method, path, change, back in changes:
        token = cloud.login("ann", "pw")
        assert cloud.holds(token)
        cloud.call(method, path, change and {"user": change})
        assert not cloud.holds(token)
        assert cloud.login("ann", "pw") == ""
        if back:
            cloud.call(method, path, {"user": back})
            assert not cloud.holds(token)
        else:
            cloud.call("PUT", grant)


def test_simultaneous_revocations(cloud: Cloud) -> None:
    """Who revokes a token that somebody revokes at the same moment has done it too."""
    tokens = Tokens(cloud.database, SETTINGS)
    verdict = tokens.verify(cloud.token)
    together(lambda _: tokens.revoke(verdict))
    assert not cloud.holds(cloud.token)


def test_simultaneous_rotations(cloud: Cloud) -> None:
    """An old key is replaced once; old and new tokens hold; `forget` kills all of them."""
    database = cloud.database
    aged = signing_key.update().values(created_at=now() - SETTINGS.key_lifetime - 1)
    database.write(lambda connection: connection.execute(aged))
    # A process that starts now: others remember when the key was made.
    cloud.logins = testing.TestClient(create_identity(database, SETTINGS))
    issued = together(lambda _: cloud.login())
    assert all(cloud.holds(token) for token in [cloud.token, *issued])
    assert count(database, signing_key) == 2
    together(lambda _: rotate_keys(database, SETTINGS))
    assert count(database, signing_key, signing_key.c.needed_until.is_(None)) == 1
    assert all(cloud.holds(token) for token in [cloud.token, *issued, cloud.login()])
    rotate_keys(database, SETTINGS, forget=True)
    assert not any(cloud.holds(token) for token in [cloud.token, *issued])
    assert cloud.holds(cloud.login())


def test_simultaneous_grants(cloud: Cloud) -> None:
    """A role given by many at once is given once, and taken once."""
    ann = cloud.member("ann")
    grant = f"/v3/projects/{cloud.find(project, 'admin')}/users/{ann}/roles/"
    grant += cloud.find(role, "reader")
    assert set(together(lambda _: cloud.call("PUT", grant).status_code)) == {204}
    assert count(cloud.database, assignment, assignment.c.user_id == ann) == 2
    taken = together(lambda _: cloud.call("DELETE", grant).status_code)
    assert sorted(taken) == [204] + [404] * (THREADS - 1)


def test_names_are_compared_byte_by_byte(cloud: Cloud) -> None:
    """Case, accents and spaces at the end make other names; none logs in as another."""
    names = ["ann", "Ann", "ann ", "änn", "\N{GRINNING FACE}"]
    ids = [cloud.member(name) for name in names]
    for name, user_id in zip(names, ids, strict=True):
        caller = cloud.identity.authenticate({"x-auth-token": cloud.login(name, "pw")})
        assert caller.user_id == user_id
    assert cloud.login("ANN", "pw") == ""
    again = {"user": {"name": "ann", "password": "x"}}
    assert cloud.call("POST", "/v3/users", again).status_code == 409


def _wish(network_id: str, subnet_id: str, name: str = "octavia-lb-1") -> PortRequest:
    return PortRequest(
        name=name,
        project_id="red",
        network_id=network_id,
        device_id="lb-1",
        device_owner="Octavia",
        fixed_ips=((subnet_id, None),),
    )


def test_ports_made_at_once(cloud: Cloud) -> None:
    """One wish by many gives one port; many wishes give as many addresses."""
    network_id, subnet_id = cloud.network("10.1.0.0/24")
    wish = _wish(network_id, subnet_id)
    ports = together(lambda _: cloud.networks.ensure_port(wish))
    assert all(port == ports[0] for port in ports)

    def make(number: int) -> list[str]:
        wishes = [dataclasses.replace(wish, name=f"{number}-{turn}") for turn in range(4)]
        return [cloud.networks.ensure_port(each).fixed_ips[0].ip_address for each in wishes]

    given = [address for addresses in together(make) for address in addresses]
    assert len({*given, ports[0].fixed_ips[0].ip_address}) == 4 * THREADS + 1
    subnet = cloud.networks.subnet(subnet_id)
    assert subnet is not None
    assert subnet.free == 253 - 4 * THREADS - 1
    together(lambda _: cloud.networks.release_port(ports[0].id, "lb-1"))
    assert cloud.networks.port(ports[0].id) is None


def test_ranges_taken_at_once(cloud: Cloud) -> None:
    """Of overlapping subnets made at once on different networks there is one."""
    networks = [
        cloud.call("POST", "/v2.0/networks", {"network": {"name": f"{number}"}}).json
        for number in range(THREADS)
    ]

    def make(number: int) -> int:
        network_id = networks[number]["network"]["id"]
        wish = {"network_id": network_id, "cidr": "10.8.0.0/16", "ip_version": 4}
        return cloud.call("POST", "/v2.0/subnets", {"subnet": wish}).status_code

    assert sorted(together(make)) == [201] + [409] * (THREADS - 1)


def test_deletion_against_creation(cloud: Cloud) -> None:
    """A network goes with all that is on it or not at all, whoever adds to it meanwhile."""
    network_id, subnet_id = cloud.network("10.1.0.0/24")

    def work(number: int) -> int:
        if number == 0:
            return cloud.call("DELETE", f"/v2.0/networks/{network_id}").status_code
        body = {"port": {"network_id": network_id, "name": f"{number}"}}
        return cloud.call("POST", "/v2.0/ports", body).status_code

    deleted, *made = together(work)
    left = len(cloud.call("GET", "/v2.0/ports").json["ports"])
    assert (deleted, set(made) | {201, 404}) in ((204, {201, 404}), (409, {201, 404}))
    if deleted == 204:
        assert (left, cloud.networks.subnet(subnet_id)) == (0, None)
    else:
        assert left == made.count(201) == THREADS - 1


def _published(database: Database, network_id: str) -> tuple[int, list[str] | None]:
    """Return the revision of a network's document and its ranges, None when retired."""
    statement = sa.select(document.c.revision, document.c.body).where(document.c.id == network_id)
    row = database.read(lambda connection: connection.execute(statement).one())
    if row.body is None:
        return row.revision, None
    spec = msgspec.msgpack.decode(row.body, type=NetworkSpec)
    assert (spec.network_id, spec.revision) == (network_id, row.revision)
    return row.revision, [subnet.cidr for subnet in spec.subnets]


def test_documents_of_changes_made_at_once(cloud: Cloud) -> None:
    """Every change raises the revision by one; the last document says all that is so."""
    network_id, subnet_id = cloud.network("10.1.0.0/24")
    assert _published(cloud.database, network_id) == (1, ["10.1.0.0/24"])

    def add(number: int) -> int:
        wish = {"network_id": network_id, "cidr": f"10.2.{number}.0/24", "ip_version": 4}
        return cloud.call("POST", "/v2.0/subnets", {"subnet": wish}).status_code

    assert set(together(add)) == {201}
    revision, ranges = _published(cloud.database, network_id)
    assert revision == 1 + THREADS
    assert set(ranges or ()) == {"10.1.0.0/24"} | {f"10.2.{n}.0/24" for n in range(THREADS)}
    assert cloud.call("DELETE", f"/v2.0/subnets/{subnet_id}").status_code == 204
    assert cloud.call("DELETE", f"/v2.0/networks/{network_id}").status_code == 204
    assert _published(cloud.database, network_id) == (3 + THREADS, None)
