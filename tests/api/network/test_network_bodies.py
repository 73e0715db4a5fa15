"""Malformed requests of the Network API get a clear 4xx and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon.testing
import pytest
import sqlalchemy as sa

from statera.cloud.network import tables
from statera.store.database import Database
from statera.store.tables.placement import document

Call = Callable[..., falcon.testing.Result]

RAW = [
    b"",
    b"null",
    b"[]",
    b"5",
    b'"network"',
    b"{}",
    b"{",
    b"\xff\xfe",
    b'{"network": {"name": "\xff"}}',
    b'{"network": {"name": "\\ud800"}}',
    b'{"network": {"mtu": 1e999}}',
    b"[" * 100_000,
    b'{"network":' * 5_000,
    b"network=1",
]

BODIES: list[Any] = [
    {"net": {}},
    {"network": {}, "other": {}},
    {"network": None},
    {"network": []},
    {"network": "x"},
    {"networks": {}},
    {"networks": []},
    {"networks": [None]},
    {"networks": [{}] * 1001},
    {"network": {"nonsense": 1}},
    {"network": {"id": "x"}},
    {"network": {"status": "DOWN"}},
    {"network": {"subnets": []}},
    {"network": {"name": 5}},
    {"network": {"name": {}}},
    {"network": {"name": "x" * 256}},
    {"network": {"name": "a\u0000b"}},
    {"network": {"description": "a\nb"}},
    {"network": {"admin_state_up": "perhaps"}},
    {"network": {"admin_state_up": None}},
    {"network": {"mtu": 1}},
    {"network": {"mtu": 10**30}},
    {"network": {"mtu": True}},
    {"network": {"mtu": 1500.5}},
    {"network": {"router:external": True}},
    {"network": {"port_security_enabled": True}},
    {"network": {"project_id": "red", "tenant_id": "blue"}},
    {"network": {"project_id": ""}},
]


def everything(database: Database) -> list[Any]:
    """Return every row of the service."""
    names = (tables.network, tables.subnet, tables.port, tables.address, document)
    return database.read(lambda c: [c.execute(sa.select(table)).all() for table in names])


def check_refused(reply: falcon.testing.Result, *statuses: int) -> None:
    assert reply.status_code in statuses, reply.text
    assert reply.json["NeutronError"]["message"]
    assert "Traceback" not in reply.text


@pytest.mark.parametrize("raw", RAW, ids=lambda raw: repr(raw[:24]))
def test_broken_bodies(member: Call, network_id: str, database: Database, raw: bytes) -> None:
    """A body that is no object of the right form is a 400 in POST and PUT."""
    before = everything(database)
    for method, path in (("POST", "/networks"), ("PUT", f"/networks/{network_id}")):
        check_refused(member(method, path, raw), 400)
    assert everything(database) == before


@pytest.mark.parametrize("body", BODIES, ids=lambda body: str(body)[:40])
def test_wrong_network_bodies(member: Call, database: Database, body: Any) -> None:
    """Wrong roots, keys, types and values are a 400."""
    before = everything(database)
    check_refused(member("POST", "/networks", body), 400)
    assert everything(database) == before


SUBNETS: list[dict[str, Any]] = [
    {"cidr": None},
    {"cidr": 5},
    {"cidr": "10.1.0.5/24"},
    {"cidr": "10.1.0.0"},
    {"cidr": "10.1.0.0/33"},
    {"cidr": "fe80::%1/64"},
    {"ip_version": 6},
    {"ip_version": 5},
    {"gateway_ip": "10.2.0.1"},
    {"gateway_ip": "10.1.0.0"},
    {"gateway_ip": "fd00::1"},
    {"gateway_ip": []},
    {"allocation_pools": "x"},
    {"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.5"}]},
    {"allocation_pools": [{"start": "10.1.0.9"}]},
    {"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.0.9", "x": 1}]},
    {"allocation_pools": [{"start": "10.1.0.9", "end": "10.1.1.9"}]},
    {"allocation_pools": [{"start": "fd00::1", "end": "fd00::2"}]},
    {"dns_nameservers": ["x"]},
    {"dns_nameservers": ["192.0.2.1", "192.0.2.1"]},
    {"dns_nameservers": ["fd00::1"]},
    {"dns_nameservers": [f"192.0.2.{last}" for last in range(1, 9)]},
    {"host_routes": [{"destination": "10.3.0.0/24"}]},
    {"host_routes": [{"destination": "10.3.0.0/24", "nexthop": "fd00::1"}]},
    {"host_routes": [5]},
    {"service_types": ["network:distributed"]},
    {"subnetpool_id": "x"},
    {"network_id": {}},
    {"network_id": "x" * 40},
]


@pytest.mark.parametrize("wrong", SUBNETS, ids=str)
def test_wrong_subnets(
    member: Call, network_id: str, database: Database, wrong: dict[str, Any]
) -> None:
    """Values that no subnet can have are a 400."""
    before = everything(database)
    body = {"subnet": {"network_id": network_id, "cidr": "10.1.0.0/24"} | wrong}
    check_refused(member("POST", "/subnets", body), 400)
    assert everything(database) == before


@pytest.mark.parametrize(
    ("missing", "status"), [({"cidr": "10.1.0.0/24"}, 400), ({"network_id": "gone"}, 400)]
)
def test_required_attributes(member: Call, missing: dict[str, Any], status: int) -> None:
    """A subnet needs a network and a range."""
    check_refused(member("POST", "/subnets", {"subnet": missing}), status)


def test_conflicting_pools(member: Call, network_id: str, database: Database) -> None:
    """Pools that overlap, or contain the gateway, are a conflict."""
    before = everything(database)
    overlap = [
        {"start": "10.1.0.9", "end": "10.1.0.20"},
        {"start": "10.1.0.20", "end": "10.1.0.30"},
    ]
    gateway = [{"start": "10.1.0.1", "end": "10.1.0.20"}]
    for pools in (overlap, gateway):
        body = {"network_id": network_id, "cidr": "10.1.0.0/24", "allocation_pools": pools}
        check_refused(member("POST", "/subnets", {"subnet": body}), 409)
    assert everything(database) == before


PORTS: list[dict[str, Any]] = [
    {"fixed_ips": "x"},
    {"fixed_ips": [{}]},
    {"fixed_ips": [{"ip_address": "x"}]},
    {"fixed_ips": [{"ip_address": "fe80::1%eth0"}]},
    {"fixed_ips": [{"subnet_id": 5}]},
    {"fixed_ips": [{"ip_address": "10.1.0.5", "x": 1}]},
    {"fixed_ips": [{"ip_address": "10.1.0.5"}, {"ip_address": "10.1.0.5"}]},
    {"fixed_ips": [{"ip_address": f"10.1.0.{last}"} for last in range(10, 20)]},
    {"mac_address": "02:00:00:00:00:01"},
    {"device_id": 5},
    {"allowed_address_pairs": [{"mac_address": "02:00:00:00:00:01"}]},
    {"allowed_address_pairs": [{"ip_address": "10.1.0.5", "mac_address": "x"}]},
    {"port_security_enabled": True},
]


@pytest.mark.parametrize("wrong", PORTS, ids=lambda wrong: str(wrong)[:60])
def test_wrong_ports(
    member: Call, network_id: str, subnet_id: str, database: Database, wrong: dict[str, Any]
) -> None:
    """Values that no port can have are a 400, in POST and in PUT."""
    port = member("POST", "/ports", {"port": {"network_id": network_id}}).json["port"]
    assert port["fixed_ips"][0]["subnet_id"] == subnet_id
    before = everything(database)
    check_refused(member("POST", "/ports", {"port": {"network_id": network_id} | wrong}), 400)
    check_refused(member("PUT", f"/ports/{port['id']}", {"port": wrong}), 400)
    assert everything(database) == before


def test_deep_values(member: Call, database: Database) -> None:
    """Nesting of any depth is a 400, be it the decoder or the reader of a value that notices."""
    before = everything(database)
    for depth in (50, *range(900, 1010), 1200):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            value = opening * depth + "1" + closing * depth
            raw = f'{{"network": {{"name": {value}}}}}'.encode()
            check_refused(member("POST", "/networks", raw), 400)
    check_refused(member("POST", "/networks", b'{"network": {"mtu": %s}}' % (b"9" * 9999)), 400)
    assert everything(database) == before


def test_security_groups_do_not_exist(member: Call, network_id: str) -> None:
    """A port takes no security group, for there are none."""
    groups = {"port": {"network_id": network_id, "security_groups": ["x"]}}
    check_refused(member("POST", "/ports", groups), 404)


def test_large_bodies(member: Call, database: Database) -> None:
    """Ten megabytes are refused, also when they come in chunks, without a length."""
    before = everything(database)
    raw = b'{"network": {"name": "' + b"x" * 10_000_000 + b'"}}'
    check_refused(member("POST", "/networks", raw), 413)
    chunked = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    check_refused(member("POST", "/networks", raw, extras=chunked), 413)
    made = member("POST", "/networks", b'{"network": {}}', extras=chunked)
    assert made.status_code == 201
    assert member("DELETE", f"/networks/{made.json['network']['id']}").status_code == 204
    assert everything(database) == before


@pytest.mark.parametrize("object_id", ["gone", "x" * 400, "%00", "%ff", "a%0ab", "%F0%9F%92%A9"])
def test_unknown_ids(member: Call, object_id: str) -> None:
    """Whatever stands for an id and names nothing is a 404."""
    for plural in ("networks", "subnets", "ports"):
        path = f"/{plural}/{object_id}"
        check_refused(member("GET", path), 404)
        check_refused(member("PUT", path, {plural[:-1]: {"name": "x"}}), 404)
        check_refused(member("DELETE", path), 404)


def test_unknown_paths_and_methods(member: Call, network_id: str) -> None:
    """Paths and methods that do not exist answer in the same envelope."""
    check_refused(member("GET", "/routers"), 404)
    check_refused(member("GET", f"/networks/{network_id}/more"), 404)
    refused = member("PATCH", f"/networks/{network_id}")
    check_refused(refused, 405)
    assert refused.headers["x-openstack-request-id"].startswith("req-")
