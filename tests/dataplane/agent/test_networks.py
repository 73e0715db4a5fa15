"""Networks on the machine: bridges, gateway addresses, and what is refused."""

from __future__ import annotations

import json

from statera.spec import wire
from statera.spec.document import SubnetSpec
from tests.dataplane.agent.installation import Installation, shell, traces
from tests.dataplane.agent.waiting import wait_for


def _addresses(link: str) -> set[str]:
    shown = json.loads(shell("ip", "-j", "addr", "show", "dev", link))[0]["addr_info"]
    return {f"{each['local']}/{each['prefixlen']}" for each in shown if each["scope"] == "global"}


def _link(name: str) -> dict[str, object]:
    shown: dict[str, object] = json.loads(shell("ip", "-j", "link", "show", "dev", name))[0]
    return shown


def test_a_network_is_a_bridge_with_its_gateways(running: Installation) -> None:
    """The machine answers on the gateways of both families, at once and with the wished MTU."""
    assert _addresses(running.bridge) == {f"{running.net}.1/24", f"{running.net6}:1/64"}
    assert _link(running.bridge)["mtu"] == 1500
    shell("ping", "-c1", "-W1", f"{running.net}.1")
    shell("ping", "-c1", "-W1", f"{running.net6}:1")


def test_a_changed_network_changes_by_difference(running: Installation) -> None:
    """A subnet comes, another goes, the MTU shrinks; the bridge stays the same link."""
    before = _link(running.bridge)
    subnets = (
        SubnetSpec(id="v4", cidr=f"{running.net}.0/24", gateway=f"{running.net}.1"),
        SubnetSpec(id="late", cidr=f"{running.net6}1::/80", gateway=f"{running.net6}1::1"),
    )
    spec = running.network(revision=2, subnets=subnets, mtu=1400)
    running.gateway.send(wire.Network(spec=spec))
    assert running.gateway.network_in_force(running.network_id, 2).fault is None
    after = _link(running.bridge)
    assert _addresses(running.bridge) == {f"{running.net}.1/24", f"{running.net6}1::1/80"}
    assert after["mtu"] == 1400
    assert (after["ifindex"], after["address"]) == (before["ifindex"], before["address"])


def test_an_older_network_document_changes_nothing(running: Installation) -> None:
    """A document that is not newer is answered with what is in force."""
    newer = running.network(revision=5)
    running.gateway.send(wire.Network(spec=newer))
    running.gateway.network_in_force(running.network_id, 5)
    running.gateway.forget()
    running.gateway.send(wire.Network(spec=running.network(revision=4, subnets=())))
    wait_for(lambda: running.network_id in running.gateway.networks, "an answer")
    assert running.gateway.networks[running.network_id].revision == 5
    assert f"{running.net}.1/24" in _addresses(running.bridge)


def test_a_range_of_the_machine_is_refused(running: Installation) -> None:
    """A subnet over an address that the machine has is no network, and the report says why."""
    subnets = (SubnetSpec(id="bad", cidr="127.0.0.0/24", gateway="127.0.0.1"),)
    spec = running.network(revision=2, subnets=subnets)
    running.gateway.send(wire.Network(spec=spec))

    def faulty() -> bool:
        report = running.gateway.networks.get(running.network_id)
        return report is not None and report.fault is not None

    wait_for(faulty, "a fault")
    report = running.gateway.networks[running.network_id]
    assert "127.0.0.0/24 overlaps 127.0.0.0/8" in (report.fault or "")
    assert report.revision == 1
    assert f"{running.net}.1/24" in _addresses(running.bridge)


def test_ranges_of_the_machine_are_told(running: Installation) -> None:
    """The introduction names the machine's ranges, and not those of our bridges."""
    running.gateway.stop()
    running.gateway.hellos.clear()
    running.gateway.start()
    wait_for(lambda: bool(running.gateway.hellos), "an introduction")
    occupied = running.gateway.hellos[0].occupied
    assert "127.0.0.0/8" in occupied
    assert not any(each.startswith(running.net) for each in occupied)


def test_a_retired_network_leaves_nothing(running: Installation) -> None:
    """The bridge goes, the report says so, and an older document does not bring it back."""
    retire = wire.RetireNetwork(network_id=running.network_id, epoch=1, revision=3)
    running.gateway.send(retire)
    assert running.gateway.network_in_force(running.network_id, 3).retired
    assert traces(running.names) == []
    running.gateway.forget()
    running.gateway.send(wire.Network(spec=running.network(revision=2)))
    wait_for(lambda: running.network_id in running.gateway.networks, "an answer")
    assert running.gateway.networks[running.network_id].retired
    assert traces(running.names) == []
