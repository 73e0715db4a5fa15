"""The adapters that pretend: any id exists, and the same id always gives the same answer."""

from __future__ import annotations

import ipaddress
import uuid

import pytest

from statera.edges.compute.noop import NoopCompute
from statera.edges.compute.protocol import Compute
from statera.edges.keys.noop import NoopKeys
from statera.edges.keys.protocol import Keys
from statera.edges.network.noop import CIDR, NoopNetworks
from statera.edges.network.protocol import Networks, PortRequest
from statera.lb.caller import Caller

IDS = [str(uuid.UUID(int=number, version=4)) for number in (1, 2**64 + 5, 2**127 + 77)]


@pytest.mark.parametrize("object_id", IDS)
def test_networks_subnets_and_ports_agree(object_id: str) -> None:
    """A network's subnet leads back to the network, and a port to both, in any process."""
    edge: Networks = NoopNetworks()
    network = edge.network(object_id)
    assert network is not None
    subnet = edge.subnet(network.subnets[0].id)
    assert subnet == network.subnets[0]
    assert subnet.network_id == object_id
    assert subnet.free > 1
    port = edge.port(object_id)
    assert port is not None
    home = edge.network(port.network_id)
    assert home is not None
    assert port.fixed_ips[0].subnet_id == home.subnets[0].id
    assert port == NoopNetworks().port(object_id)
    claimed = edge.claim_port(object_id, "lb-1", "Octavia")
    assert (claimed.id, claimed.device_id, claimed.owned) == (object_id, "lb-1", False)


def test_ids_that_are_no_uuid() -> None:
    """Any text is an id."""
    network = NoopNetworks().network("net")
    assert network is not None
    assert network.subnets[0].cidr == CIDR


def test_ensured_ports() -> None:
    """A port has the address asked for, or one of the subnet that its name gives."""
    edge = NoopNetworks()

    def ask(name: str, *fixed_ips: tuple[str, str | None]) -> PortRequest:
        return PortRequest(name, "red", IDS[0], "lb-1", "Octavia", fixed_ips)

    port = edge.ensure_port(ask("a", (IDS[1], None), (IDS[2], "192.0.2.9")))
    assert port.owned
    assert [ip.subnet_id for ip in port.fixed_ips] == IDS[1:]
    assert ipaddress.ip_address(port.fixed_ips[0].ip_address) in ipaddress.ip_network(CIDR)
    assert port.fixed_ips[1].ip_address == "192.0.2.9"
    assert edge.ensure_port(ask("a", (IDS[1], None), (IDS[2], "192.0.2.9"))) == port
    other = edge.ensure_port(ask("b"))
    assert other.fixed_ips[0].ip_address != port.fixed_ips[0].ip_address
    edge.release_port(port.id, "lb-1")
    edge.release_device("lb-1")


def test_compute_and_keys() -> None:
    """There is always room, at the same place for the same amphora; every secret is readable."""
    compute: Compute = NoopCompute()
    assert compute.place("a", "1") == NoopCompute().place("a", "1")
    assert compute.place("a", "1").compute_id != compute.place("b", "1").compute_id
    compute.release("a")
    keys: Keys = NoopKeys()
    assert keys.readable("any", Caller("u", None, frozenset()))
