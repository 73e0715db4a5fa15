"""The edge of the embedded network service: ports for the core, documents for machines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import falcon.testing
import msgspec
import pytest
import sqlalchemy as sa

from statera.cloud.network.embedded import EmbeddedNetworks
from statera.edges.network.protocol import AddressInUse, Networks, PortRequest
from statera.lb.errors import Conflict, NotFound, Retryable, UserError
from statera.service.wake import DOCUMENTS, Wakes
from statera.spec.document import NetworkSpec, SubnetSpec
from statera.store.database import Database
from statera.store.tables.placement import document

Call = Callable[..., falcon.testing.Result]


def request(network_id: str, subnet_id: str, address: str | None = None) -> PortRequest:
    return PortRequest(
        name="octavia-lb-1",
        project_id="red",
        network_id=network_id,
        device_id="lb-1",
        device_owner="Octavia",
        fixed_ips=((subnet_id, address),),
    )


def published(database: Database, network_id: str) -> tuple[int, NetworkSpec | None]:
    """Return revision and content of a network's document; (0, None) when there is none."""
    row = database.read(
        lambda c: c.execute(sa.select(document).where(document.c.id == network_id)).one_or_none()
    )
    if row is None:
        return 0, None
    assert (row.kind, row.machine_id, row.epoch) == ("network", None, 1)
    assert row.retired == (row.body is None)
    return row.revision, msgspec.msgpack.decode(row.body, type=NetworkSpec) if row.body else None


def test_look_ups(networks: EmbeddedNetworks, network_id: str, subnet_id: str) -> None:
    """Networks come with their subnets, subnets with their free addresses."""
    edge: Networks = networks
    network = edge.network(network_id)
    assert network is not None
    assert [subnet.id for subnet in network.subnets] == [subnet_id]
    assert network.subnets[0].free == 253
    port = edge.ensure_port(request(network_id, subnet_id))
    subnet = edge.subnet(subnet_id)
    assert subnet is not None
    assert (subnet.cidr, subnet.gateway_ip, subnet.free) == ("10.1.0.0/24", "10.1.0.1", 252)
    assert edge.port(port.id) == port
    assert edge.port("gone") is None


def test_ensure_port_is_repeatable(
    networks: EmbeddedNetworks, network_id: str, subnet_id: str
) -> None:
    """The same name and device give the same port; another device another one."""
    wanted = request(network_id, subnet_id)
    port = networks.ensure_port(wanted)
    assert port.owned
    assert networks.ensure_port(wanted) == port
    other = networks.ensure_port(dataclasses.replace(wanted, device_id="lb-2"))
    assert other.id != port.id
    networks.release_port(port.id, "lb-2")
    assert networks.port(port.id) == port
    networks.release_port(port.id, "lb-1")
    networks.release_port(port.id, "lb-1")
    assert networks.port(port.id) is None


def test_release_device(
    networks: EmbeddedNetworks, member: Call, network_id: str, subnet_id: str
) -> None:
    """All that the service has with a device ends; what users say about their ports is theirs."""
    wanted = request(network_id, subnet_id)
    owned = [networks.ensure_port(dataclasses.replace(wanted, name=name)).id for name in "ab"]
    claimed, said = (
        member("POST", "/ports", {"port": {"network_id": network_id} | more}).json["port"]["id"]
        for more in ({}, {"device_id": "lb-1", "device_owner": "Octavia"})
    )
    networks.claim_port(claimed, "lb-1", "Octavia")
    other = networks.ensure_port(dataclasses.replace(wanted, device_id="lb-2"))
    for _repeated in range(2):
        networks.release_device("lb-1")
        assert [networks.port(port_id) for port_id in owned] == [None, None]
        left = {port["id"]: port["device_id"] for port in member("GET", "/ports").json["ports"]}
        assert left == {claimed: "", said: "lb-1", other.id: "lb-2"}


def test_vip_port_as_users_see_it(
    networks: EmbeddedNetworks, member: Call, admin: Call, network_id: str, subnet_id: str
) -> None:
    """Its project sees the VIP's port, administratively down, and cannot take it away."""
    port = networks.ensure_port(request(network_id, subnet_id))
    path = f"/ports/{port.id}"
    shown = member("GET", path).json["port"]
    assert (shown["name"], shown["admin_state_up"]) == ("octavia-lb-1", False)
    assert (shown["device_id"], shown["device_owner"]) == ("lb-1", "Octavia")
    for refused in (
        member("DELETE", path),
        member("PUT", path, {"port": {"fixed_ips": []}}),
        member("PUT", path, {"port": {"device_id": ""}}),
        member("PUT", path, {"port": {"device_owner": ""}}),
    ):
        assert refused.status_code == 409
        assert refused.json["NeutronError"]["type"] == "ServicePortInUse"
    assert member("PUT", path, {"port": {"description": "mine"}}).status_code == 200
    assert admin("DELETE", path).status_code == 204


def test_ensure_port_refusals(
    networks: EmbeddedNetworks, member: Call, network_id: str, subnet_id: str
) -> None:
    """A taken address, a full subnet and a vanished network are told apart; nothing is left."""
    taken = {"network_id": network_id, "fixed_ips": [{"ip_address": "10.1.0.9"}]}
    member("POST", "/ports", {"port": taken})
    with pytest.raises(AddressInUse, match=r"10\.1\.0\.9"):
        networks.ensure_port(request(network_id, subnet_id, "10.1.0.9"))
    with pytest.raises(UserError):
        networks.ensure_port(request(network_id, subnet_id, "10.2.0.9"))
    with pytest.raises(UserError):
        networks.ensure_port(request("gone", subnet_id))
    member("PUT", f"/subnets/{subnet_id}", {"subnet": {"allocation_pools": []}})
    with pytest.raises(Retryable):
        networks.ensure_port(request(network_id, subnet_id))
    assert len(member("GET", "/ports").json["ports"]) == 1


def test_ensure_port_anywhere_on_the_network(
    networks: EmbeddedNetworks, network_id: str, subnet_id: str
) -> None:
    """Without a subnet the port gets what the network has, and waits while it has none."""
    wanted = dataclasses.replace(request(network_id, subnet_id), fixed_ips=())
    assert [ip.subnet_id for ip in networks.ensure_port(wanted).fixed_ips] == [subnet_id]


def test_network_without_subnets_has_no_address_yet(
    networks: EmbeddedNetworks, network_id: str
) -> None:
    """A port for the core needs an address; the wish is tried again."""
    wanted = dataclasses.replace(request(network_id, ""), fixed_ips=())
    with pytest.raises(Retryable):
        networks.ensure_port(wanted)


def test_claim_and_release(
    networks: EmbeddedNetworks, member: Call, network_id: str, subnet_id: str
) -> None:
    """A user's port is bound to one device, kept from its user meanwhile, and given back."""
    wanted = {"network_id": network_id, "fixed_ips": [{"subnet_id": subnet_id}]}
    port_id = member("POST", "/ports", {"port": wanted}).json["port"]["id"]
    port = networks.claim_port(port_id, "lb-1", "Octavia")
    assert (port.device_id, port.owned) == ("lb-1", False)
    assert networks.claim_port(port_id, "lb-1", "Octavia") == port
    with pytest.raises(Conflict):
        networks.claim_port(port_id, "lb-2", "Octavia")
    assert member("DELETE", f"/ports/{port_id}").status_code == 409
    networks.release_port(port_id, "lb-2")
    networks.release_port(port_id, "lb-1")
    shown = member("GET", f"/ports/{port_id}").json["port"]
    assert (shown["device_id"], shown["device_owner"]) == ("", "")
    assert member("DELETE", f"/ports/{port_id}").status_code == 204
    with pytest.raises(NotFound):
        networks.claim_port(port_id, "lb-1", "Octavia")


def test_documents_follow_the_network(
    member: Call, database: Database, wakes: Wakes, network_id: str
) -> None:
    """A network is published with its first subnet, anew at each change, retired with its last."""
    assert published(database, network_id) == (0, None)
    with wakes.listen(DOCUMENTS) as woken:
        body = {"subnet": {"network_id": network_id, "cidr": "10.1.0.0/24"}}
        subnet_id = member("POST", "/subnets", body).json["subnet"]["id"]
        assert woken.recv(1) == b"1"
    spec = NetworkSpec(
        network_id=network_id,
        epoch=1,
        revision=1,
        mtu=1500,
        subnets=(SubnetSpec(id=subnet_id, cidr="10.1.0.0/24", gateway="10.1.0.1"),),
    )
    assert published(database, network_id) == (1, spec)
    member("PUT", f"/networks/{network_id}", {"network": {"name": "other"}})
    assert published(database, network_id) == (1, spec)
    member("PUT", f"/networks/{network_id}", {"network": {"mtu": 9000}})
    assert published(database, network_id)[0] == 2
    member("PUT", f"/subnets/{subnet_id}", {"subnet": {"gateway_ip": None}})
    revision, current = published(database, network_id)
    assert current is not None
    assert (revision, current.mtu, current.subnets[0].gateway) == (3, 9000, None)
    member("DELETE", f"/subnets/{subnet_id}")
    assert published(database, network_id) == (4, None)
    member("POST", "/subnets", body)
    assert published(database, network_id)[0] == 5
    member("DELETE", f"/networks/{network_id}")
    assert published(database, network_id) == (6, None)
