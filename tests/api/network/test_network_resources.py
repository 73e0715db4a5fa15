"""Networks, subnets and ports: what requests do and what replies show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon.testing
import pytest
import sqlalchemy as sa

from statera.store.database import Database
from statera.store.tables.placement import machine, network_observation

Call = Callable[..., falcon.testing.Result]


def make_subnet(call: Call, network_id: str, cidr: str, **more: Any) -> falcon.testing.Result:
    return call("POST", "/subnets", {"subnet": {"network_id": network_id, "cidr": cidr, **more}})


def make_port(call: Call, network_id: str, **more: Any) -> falcon.testing.Result:
    return call("POST", "/ports", {"port": {"network_id": network_id, **more}})


def addresses(reply: falcon.testing.Result) -> list[str]:
    return [item["ip_address"] for item in reply.json["port"]["fixed_ips"]]


def error(reply: falcon.testing.Result) -> tuple[int, str]:
    assert set(reply.json["NeutronError"]) == {"type", "message", "detail"}
    return reply.status_code, reply.json["NeutronError"]["type"]


def test_network_life(member: Call) -> None:
    """A network is created with defaults, shown, changed and deleted."""
    made = member("POST", "/networks", {"network": {"name": "front"}})
    assert made.status_code == 201
    network = made.json["network"]
    assert network | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "name": "front",
        "description": "",
        "admin_state_up": True,
        "shared": False,
        "mtu": 1500,
        "status": "ACTIVE",
        "project_id": "red",
        "tenant_id": "red",
        "subnets": [],
        "router:external": False,
        "port_security_enabled": False,
        "created_at": "",
        "updated_at": "",
        "revision_number": 1,
    }
    path = f"/networks/{network['id']}"
    assert member("GET", path).json["network"] == network
    changed = member("PUT", path, {"network": {"name": "back", "mtu": 9000}}).json["network"]
    assert (changed["name"], changed["mtu"], changed["revision_number"]) == ("back", 9000, 2)
    assert member("DELETE", path).status_code == 204
    assert error(member("GET", path)) == (404, "NetworkNotFound")


def test_network_status_follows_what_machines_report(
    member: Call, network_id: str, database: Database
) -> None:
    """A network is DOWN, in filters too, while a machine says that it is not as wished."""
    values = {"machine_id": "m", "network_id": network_id, "epoch": 1, "revision": 1, "fault": "x"}
    database.write(lambda c: c.execute(sa.insert(network_observation).values(**values)))
    assert member("GET", f"/networks/{network_id}").json["network"]["status"] == "DOWN"
    assert member("GET", "/networks", params={"status": "ACTIVE"}).json == {"networks": []}


def test_subnet_defaults(member: Call, network_id: str) -> None:
    """A subnet's gateway is its first address and its pool everything else."""
    made = make_subnet(member, network_id, "10.1.0.0/24").json["subnet"]
    assert (made["gateway_ip"], made["ip_version"]) == ("10.1.0.1", 4)
    assert made["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    six = make_subnet(member, network_id, "fd00:1::/64", ip_version=6).json["subnet"]
    assert six["gateway_ip"] == "fd00:1::1"
    assert six["allocation_pools"] == [{"start": "fd00:1::2", "end": "fd00:1::ffff:ffff:ffff:ffff"}]
    shown = member("GET", f"/networks/{network_id}").json["network"]
    assert shown["subnets"] == [made["id"], six["id"]]


def test_subnet_gateway_in_the_middle_or_none(member: Call, network_id: str) -> None:
    """The default pools go round the gateway, and there need be none."""
    middle = make_subnet(member, network_id, "10.1.0.0/24", gateway_ip="10.1.0.9").json["subnet"]
    assert middle["allocation_pools"] == [
        {"start": "10.1.0.1", "end": "10.1.0.8"},
        {"start": "10.1.0.10", "end": "10.1.0.254"},
    ]
    without = make_subnet(member, network_id, "10.2.0.0/24", gateway_ip=None).json["subnet"]
    assert without["gateway_ip"] is None
    assert without["allocation_pools"] == [{"start": "10.2.0.1", "end": "10.2.0.254"}]


def test_subnet_update(member: Call, subnet_id: str) -> None:
    """Pools, gateway, routes and name servers of a subnet can be changed and cleared."""
    path = f"/subnets/{subnet_id}"
    body: dict[str, Any] = {
        "allocation_pools": [{"start": "10.1.0.100", "end": "10.1.0.110"}],
        "gateway_ip": "10.1.0.254",
        "host_routes": [{"destination": "192.0.2.0/24", "nexthop": "10.1.0.7"}],
        "dns_nameservers": ["192.0.2.53"],
        "enable_dhcp": False,
    }
    changed = member("PUT", path, {"subnet": body}).json["subnet"]
    assert {name: changed[name] for name in body} == body
    cleared = member("PUT", path, {"subnet": {"gateway_ip": None, "host_routes": []}}).json
    assert (cleared["subnet"]["gateway_ip"], cleared["subnet"]["host_routes"]) == (None, [])
    other = {"host_routes": [{"destination": "fd00::/64", "nexthop": "fd00::1"}]}
    for wrong in (other, {"dns_nameservers": ["fd00::1"]}):
        assert error(member("PUT", path, {"subnet": wrong})) == (400, "InvalidInput")
    bad = {"gateway_ip": "10.1.0.105"}
    assert error(member("PUT", path, {"subnet": bad})) == (
        409,
        "GatewayConflictWithAllocationPools",
    )


@pytest.mark.parametrize(
    "cidr",
    [
        "169.254.1.0/24",
        "127.0.0.0/16",
        "224.0.1.0/24",
        "0.0.0.0/0",
        "fe80::/64",
        "ff02::/64",
        "::/0",
        "::ffff:10.0.0.0/104",
        "10.1.0.0/31",
        "fd00::/127",
    ],
)
def test_subnet_ranges_that_cannot_be(admin: Call, network_id: str, cidr: str) -> None:
    """Ranges that no host can have, or too few, are refused and leave nothing."""
    assert error(make_subnet(admin, network_id, cidr)) == (400, "InvalidInput")
    assert admin("GET", "/subnets").json == {"subnets": []}


@pytest.mark.parametrize("cidr", ["8.8.8.0/24", "192.0.0.0/8", "10.0.0.0/7", "2000::/3"])
def test_public_ranges_are_for_admins(
    admin: Call, member: Call, network_id: str, cidr: str
) -> None:
    """The machine routes a subnet's range to its bridge: no project takes the Internet from it."""
    assert error(make_subnet(member, network_id, cidr)) == (400, "InvalidInput")
    assert make_subnet(admin, network_id, cidr).status_code == 201


@pytest.mark.parametrize("cidr", ["10.1.0.0/24", "10.1.0.128/25", "10.0.0.0/8"])
def test_subnets_never_overlap(stranger: Call, subnet_id: str, cidr: str) -> None:
    """A range in use anywhere in the installation is refused, also to others, who learn no id."""
    own = stranger("POST", "/networks", {"network": {}}).json["network"]["id"]
    refused = make_subnet(stranger, own, cidr)
    assert error(refused) == (409, "OverlappingSubnet")
    assert subnet_id not in refused.text
    assert make_subnet(stranger, own, "10.1.1.0/24").status_code == 201


def test_subnet_must_not_overlap_a_machine(
    member: Call, network_id: str, database: Database
) -> None:
    """What a machine uses itself is refused; its default route and nonsense count for nothing."""
    values = {
        "id": "m",
        "peer": "uid 0",
        "host": "h",
        "abilities": [],
        "occupied": ["0.0.0.0/0", "nonsense", "192.168.7.9/24"],
        "unknown": 0,
        "ahead": 0,
        "connected": True,
        "changed_at": 0.0,
    }
    database.write(lambda c: c.execute(sa.insert(machine).values(**values)))
    refused = make_subnet(member, network_id, "192.168.0.0/16")
    assert error(refused) == (409, "OverlappingSubnet")
    assert "192.168.7.0/24" in refused.json["NeutronError"]["message"]
    assert make_subnet(member, network_id, "192.168.8.0/24").status_code == 201


def test_port_gets_one_address_of_each_version(member: Call, network_id: str) -> None:
    """Without a wish a port gets an IPv4 and an IPv6 address, and a MAC that its id gives."""
    make_subnet(member, network_id, "10.1.0.0/24")
    make_subnet(member, network_id, "fd00:1::/64")
    made = make_port(member, network_id, name="p")
    assert made.status_code == 201
    assert addresses(made) == ["10.1.0.2", "fd00:1::2"]
    port = made.json["port"]
    assert port["mac_address"].startswith("02:")
    assert (port["status"], port["security_groups"]) == ("DOWN", [])
    assert member("GET", f"/ports/{port['id']}").json["port"] == port


def test_port_wishes(member: Call, network_id: str, subnet_id: str) -> None:
    """Addresses can be named with or without their subnet, and an exact one is not given away."""
    wanted = [{"subnet_id": subnet_id}, {"ip_address": "10.1.0.2"}]
    made = make_port(member, network_id, fixed_ips=wanted)
    assert addresses(made) == ["10.1.0.3", "10.1.0.2"]
    assert addresses(make_port(member, network_id, fixed_ips=[])) == []
    for wrong, status, name in (
        ("10.1.0.2", 409, "IpAddressAlreadyAllocated"),
        ("10.1.0.1", 400, "InvalidIpForSubnet"),
        ("10.1.0.255", 400, "InvalidIpForSubnet"),
        ("10.9.0.5", 400, "InvalidIpForNetwork"),
        ("fd00::5", 400, "InvalidIpForNetwork"),
    ):
        refused = make_port(member, network_id, fixed_ips=[{"ip_address": wrong}])
        assert error(refused) == (status, name)
    refused = make_port(member, network_id, fixed_ips=[{"subnet_id": "nothing"}])
    assert error(refused) == (400, "InvalidInput")
    assert len(member("GET", "/ports").json["ports"]) == 2


def test_released_addresses_rest(member: Call, network_id: str) -> None:
    """The search goes on behind the last address and comes round; a full subnet says so."""
    make_subnet(member, network_id, "10.1.0.0/29")
    first = make_port(member, network_id)
    assert addresses(first) == ["10.1.0.2"]
    assert member("DELETE", f"/ports/{first.json['port']['id']}").status_code == 204
    given = [addresses(make_port(member, network_id))[0] for _ in range(5)]
    assert given == ["10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.1.0.2"]
    assert error(make_port(member, network_id)) == (409, "IpAddressGenerationFailure")


def test_port_update_keeps_addresses(member: Call, network_id: str, subnet_id: str) -> None:
    """A new list of addresses keeps those that it still contains and releases the others."""
    wanted = [{"ip_address": "10.1.0.20"}, {"ip_address": "10.1.0.21"}]
    port = make_port(member, network_id, fixed_ips=wanted).json["port"]
    path = f"/ports/{port['id']}"
    wishes = [{"subnet_id": subnet_id}, {"ip_address": "10.1.0.21"}, {"ip_address": "10.1.0.30"}]
    changed = member("PUT", path, {"port": {"fixed_ips": wishes, "device_id": "vm"}})
    assert addresses(changed) == ["10.1.0.20", "10.1.0.21", "10.1.0.30"]
    assert changed.json["port"]["status"] == "ACTIVE"
    changed = member("PUT", path, {"port": {"fixed_ips": [{"ip_address": "10.1.0.30"}]}})
    assert addresses(changed) == ["10.1.0.30"]
    again = make_port(member, network_id, fixed_ips=[{"ip_address": "10.1.0.20"}])
    assert again.status_code == 201


def test_in_use(member: Call, network_id: str, subnet_id: str) -> None:
    """Neither a network with ports nor a subnet with addresses in use can be deleted."""
    port = make_port(member, network_id).json["port"]
    assert error(member("DELETE", f"/networks/{network_id}")) == (409, "NetworkInUse")
    assert error(member("DELETE", f"/subnets/{subnet_id}")) == (409, "SubnetInUse")
    taken = {"subnet": {"gateway_ip": port["fixed_ips"][0]["ip_address"], "allocation_pools": []}}
    assert error(member("PUT", f"/subnets/{subnet_id}", taken)) == (409, "GatewayIpInUse")
    member("DELETE", f"/ports/{port['id']}")
    assert member("DELETE", f"/subnets/{subnet_id}").status_code == 204
    assert member("DELETE", f"/networks/{network_id}").status_code == 204


def test_network_takes_its_subnets_along(member: Call, network_id: str, subnet_id: str) -> None:
    """Deleting a network without ports deletes its subnets."""
    assert member("DELETE", f"/networks/{network_id}").status_code == 204
    assert error(member("GET", f"/subnets/{subnet_id}")) == (404, "SubnetNotFound")


def test_bulk_is_all_or_nothing(member: Call, network_id: str, subnet_id: str) -> None:
    """Several objects in one request are all made, or none."""
    good = {"network_id": network_id, "fixed_ips": [{"subnet_id": subnet_id}]}
    bad = {"network_id": network_id, "fixed_ips": [{"ip_address": "10.1.0.1"}]}
    assert error(member("POST", "/ports", {"ports": [good, bad]})) == (400, "InvalidIpForSubnet")
    assert member("GET", "/ports").json == {"ports": []}
    made = member("POST", "/ports", {"ports": [good, good]})
    assert made.status_code == 201
    assert len(made.json["ports"]) == 2
