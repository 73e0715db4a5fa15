"""The Network API and its edge: many at once, and what only one refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import falcon.testing

from statera.cloud.network.embedded import EmbeddedNetworks
from statera.edges.network.protocol import PortRequest
from statera.lb.errors import Conflict

Call = Callable[..., falcon.testing.Result]
T = TypeVar("T")

THREADS = 8


def together(work: Callable[[int], T], threads: int = THREADS) -> list[T]:
    """Return what `work` gives for each number when all start at once."""
    barrier = Barrier(threads)

    def run(number: int) -> T:
        barrier.wait(timeout=10)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def request(network_id: str, subnet_id: str) -> PortRequest:
    wishes = ((subnet_id, None),)
    return PortRequest("octavia-lb-1", "red", network_id, "lb-1", "Octavia", wishes)


def test_concurrent_ensure_port(
    networks: EmbeddedNetworks, network_id: str, subnet_id: str
) -> None:
    """Many who ask for one port at once get the same one."""
    wanted = request(network_id, subnet_id)
    ports = together(lambda _number: networks.ensure_port(wanted))
    assert all(port == ports[0] for port in ports)


def test_concurrent_claims(
    networks: EmbeddedNetworks, member: Call, network_id: str, subnet_id: str
) -> None:
    """Of many who claim one port, one gets it."""
    wanted = {"network_id": network_id, "fixed_ips": [{"subnet_id": subnet_id}]}
    port_id = member("POST", "/ports", {"port": wanted}).json["port"]["id"]

    def claim(number: int) -> int:
        try:
            networks.claim_port(port_id, f"lb-{number}", "Octavia")
        except Conflict:
            return 0
        return 1

    assert sum(together(claim)) == 1


def test_concurrent_allocation(
    networks: EmbeddedNetworks, member: Call, network_id: str, subnet_id: str
) -> None:
    """Ports made at once, through API and edge, have different addresses."""

    def make(number: int) -> list[str]:
        found = []
        for turn in range(5):
            if number % 2:
                body = {"port": {"network_id": network_id}}
                port = member("POST", "/ports", body).json["port"]
                found.append(port["fixed_ips"][0]["ip_address"])
            else:
                wanted = request(network_id, subnet_id)
                named = dataclasses.replace(wanted, name=f"{number}-{turn}")
                found.append(networks.ensure_port(named).fixed_ips[0].ip_address)
        return found

    given = [address for addresses in together(make) for address in addresses]
    assert len(set(given)) == len(given) == THREADS * 5


def test_concurrent_overlap(member: Call) -> None:
    """Subnets made at once never overlap, though each is of another network."""
    many: dict[str, list[dict[str, str]]] = {"networks": [{}] * THREADS}
    homes = [made["id"] for made in member("POST", "/networks", many).json["networks"]]

    def make(number: int) -> int:
        cidr = "10.8.0.0/16" if number % 2 else f"10.8.{number}.0/24"
        body = {"subnet": {"network_id": homes[number], "cidr": cidr}}
        return member("POST", "/subnets", body).status_code

    statuses = together(make)
    assert set(statuses) <= {201, 409}
    found = [subnet["cidr"] for subnet in member("GET", "/subnets").json["subnets"]]
    assert found == ["10.8.0.0/16"] or "10.8.0.0/16" not in found
    assert len(found) == statuses.count(201) >= 1


def test_first_subnets_of_an_installation(member: Call, network_id: str) -> None:
    """On a database that knows no subnet yet, failing requests do not make others fail."""

    def make(number: int) -> set[int]:
        body = {"subnet": {"network_id": "gone", "cidr": f"10.{number}.0.0/16"}}
        refused = {member("POST", "/subnets", body).status_code for _turn in range(3)}
        body["subnet"]["network_id"] = network_id
        return {*refused, member("POST", "/subnets", body).status_code}

    assert together(make) == [{404, 201}] * THREADS


def test_numbers_beyond_a_column(member: Call) -> None:
    """A filter may name a number that no column can hold: it finds nothing."""
    for name in ("mtu", "revision_number"):
        query = f"{name}={2**63 - 1}"
        assert member("GET", "/networks", query_string=query).json == {"networks": []}
