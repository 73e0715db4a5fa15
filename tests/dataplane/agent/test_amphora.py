"""Amphorae: from the document to traffic, through changes, to nothing."""

from __future__ import annotations

import json
import os

import msgspec
import pytest

from statera.spec import wire
from statera.spec.document import Address
from statera.spec.report import Fault
from tests.dataplane.agent.installation import Installation, answers, get, shell, traces
from tests.dataplane.agent.waiting import wait_for


def _inside(installation: Installation) -> list[dict[str, object]]:
    name = installation.space().name
    shown: list[dict[str, object]] = json.loads(shell("ip", "-n", name, "-j", "addr"))
    return [link for link in shown if link["ifname"] != "lo"]


def _serve(installation: Installation) -> None:
    """Bring up the amphora with two backends."""
    installation.add_backend()
    installation.add_backend()
    installation.gateway.send(wire.Document(spec=installation.amphora()))
    installation.gateway.in_force(installation.amphora_id(), 1)


def test_traffic_reaches_every_member(running: Installation) -> None:
    """As soon as the report says in force, requests from the machine are spread."""
    _serve(running)
    assert {get(f"{running.net}.10") for _ in range(4)} == {"backend0", "backend1"}
    assert {get(f"{running.net6}:10") for _ in range(4)} == {"backend0", "backend1"}
    report = running.gateway.amphorae[running.amphora_id()]
    assert report.serving
    assert report.faults == ()
    assert report.generation == 1


def test_the_namespace_is_as_the_document_says(running: Installation) -> None:
    """One link named for the VIP, with the document's MAC and routes, and sysctls of its own."""
    _serve(running)
    (link,) = _inside(running)
    assert (link["ifname"], link["address"]) == ("eth0", running.interface().mac)
    name = running.space().name
    routes = json.loads(shell("ip", "-n", name, "-j", "route"))
    assert {"dst": "default", "gateway": f"{running.net}.1"}.items() <= routes[0].items()
    start = "net.ipv4.ip_unprivileged_port_start"
    assert shell("ip", "netns", "exec", name, "sysctl", "-n", start).strip() == "0"
    assert shell("sysctl", "-n", start).strip() == "1024"


def test_addresses_change_without_a_new_link(running: Installation) -> None:
    """A VIP comes and another goes: same link, same process, the other addresses stay."""
    _serve(running)
    (before,), pids = _inside(running), running.engine_pids()
    addresses = running.interface().addresses
    late = Address(ip=f"{running.net}.77", prefix=24)
    interface = running.interface(addresses=(addresses[0], late, *addresses[2:]))
    vips = (f"{running.net}.77", f"{running.net6}:10")
    spec = running.amphora(revision=2, interfaces=(interface,), vips=vips)
    running.gateway.send(wire.Document(spec=spec))
    assert running.gateway.in_force(running.amphora_id(), 2).faults == ()
    assert answers(f"{running.net}.77")
    assert answers(f"{running.net6}:10")
    assert not answers(f"{running.net}.10")
    (after,) = _inside(running)
    assert after["ifindex"] == before["ifindex"]
    assert pids


def test_an_older_document_changes_nothing(running: Installation) -> None:
    """Neither an older document nor an older retirement is obeyed; both are answered."""
    _serve(running)
    running.gateway.send(wire.Document(spec=running.amphora(revision=5)))
    running.gateway.in_force(running.amphora_id(), 5)
    pids = running.engine_pids()
    for message in (
        wire.Document(spec=running.amphora(revision=4, listeners=(), interfaces=())),
        wire.Retire(amphora_id=running.amphora_id(), epoch=1, revision=5),
        wire.Document(spec=running.amphora(revision=5, listeners=())),
    ):
        running.gateway.forget()
        running.gateway.send(message)
        assert running.gateway.in_force(running.amphora_id(), 5).serving
    assert running.engine_pids() == pids
    assert answers(f"{running.net}.10")


def test_a_retired_amphora_leaves_nothing(running: Installation) -> None:
    """Process, links, namespace and files go; no older document brings it back, ever."""
    _serve(running)
    pids = running.engine_pids()
    assert pids
    retire = wire.Retire(amphora_id=running.amphora_id(), epoch=1, revision=9)
    running.gateway.send(retire)
    assert running.gateway.in_force(running.amphora_id(), 9).retired
    assert traces(running.names) == [running.bridge]
    assert not any(_runs(pid) for pid in pids)
    assert not (running.state / "amphorae" / running.amphora_id()).exists()
    running.restart_agent()
    running.gateway.in_force(running.amphora_id(), 9)
    running.gateway.forget()
    running.gateway.send(wire.Document(spec=running.amphora(revision=8)))
    assert running.gateway.in_force(running.amphora_id(), 9).retired
    assert traces(running.names) == [running.bridge]


def test_a_namespace_that_somebody_holds_keeps_no_link(running: Installation) -> None:
    """Its name is gone and it lives on, but nothing in it answers for the VIP any more."""
    _serve(running)
    held = running.space().descriptor()
    try:
        running.gateway.send(wire.Retire(amphora_id=running.amphora_id(), epoch=1, revision=2))
        assert running.gateway.in_force(running.amphora_id(), 2).retired
        assert traces(running.names) == [running.bridge]
    finally:
        os.close(held)


def test_the_bare_file_of_a_namespace_goes_too(running: Installation) -> None:
    """A removal that was cut short between the namespace and its name is finished."""
    running.space().path.touch()
    running.gateway.send(wire.Retire(amphora_id=running.amphora_id(), epoch=1, revision=2))
    assert running.gateway.in_force(running.amphora_id(), 2).retired
    assert traces(running.names) == [running.bridge]


def test_a_retirement_of_something_unknown_is_answered(running: Installation) -> None:
    """An agent that lost its disk still confirms that nothing is left."""
    retire = wire.Retire(amphora_id=running.amphora_id(3), epoch=2, revision=4)
    running.gateway.send(retire)
    assert running.gateway.in_force(running.amphora_id(3), 4, epoch=2).retired


def test_an_amphora_waits_for_its_network(bare: Installation) -> None:
    """Before its network is there the report gives the reason; then it heals by itself."""
    bare.gateway.start()
    bare.start_agent()
    bare.gateway.send(wire.Document(spec=bare.amphora()))

    def complains() -> bool:
        report = bare.gateway.amphorae.get(bare.amphora_id())
        return report is not None and bool(report.faults)

    wait_for(complains, "a fault")
    (fault,) = bare.gateway.amphorae[bare.amphora_id()].faults
    assert fault.object_id == bare.amphora().load_balancer_id
    assert f"network {bare.network_id} is not on this machine" in fault.text
    assert not fault.final
    bare.gateway.send(wire.Network(spec=bare.network()))
    assert bare.gateway.in_force(bare.amphora_id(), 1).faults == ()
    bare.add_backend()
    bare.gateway.send(wire.Document(spec=bare.amphora(revision=2)))
    bare.gateway.in_force(bare.amphora_id(), 2)
    assert get(f"{bare.net}.10") == "backend0"


def test_many_amphorae_come_up_together(running: Installation) -> None:
    """Twenty documents at once are all in force and all serve; the newest of each wins."""
    running.add_backend()
    numbers = range(10, 30)
    for revision in (1, 2, 3):
        for number in numbers:
            spec = running.amphora(number, revision=revision)
            running.gateway.send(wire.Document(spec=spec))
    for number in numbers:
        assert running.gateway.in_force(running.amphora_id(number), 3).faults == ()
    for number in numbers:
        assert get(f"{running.net}.{number}") == "backend0"


def test_a_name_that_is_taken_is_never_shared(running: Installation) -> None:
    """An amphora whose short name is another's gets a final fault, and its end harms nobody."""
    _serve(running)
    twin = running.amphora_id()[:8] + "-0000-4000-8000-000000000000"
    spec = msgspec.structs.replace(running.amphora(), amphora_id=twin)
    running.gateway.send(wire.Document(spec=spec))
    wait_for(lambda: bool(_faults(running, twin)), "a fault")
    (fault,) = _faults(running, twin)
    assert fault.final
    assert f"belongs to the amphora {running.amphora_id()}" in fault.text
    running.gateway.send(wire.Retire(amphora_id=twin, epoch=1, revision=2))
    assert running.gateway.in_force(twin, 2).retired
    assert answers(f"{running.net}.10")


@pytest.mark.parametrize("again", [False, True])
def test_a_namespace_lost_under_the_agent_is_made_again(
    running: Installation, *, again: bool
) -> None:
    """Soon and unasked, even where another took the name; nothing is left of what was before."""
    _serve(running)
    before, inode = running.engine_pids(), running.space().inode()
    shell("ip", "netns", "del", running.space().name)
    if again:
        shell("ip", "netns", "add", running.space().name)

    def anew() -> bool:
        return running.space().inode() not in {None, inode} and bool(running.engine_pids())

    wait_for(anew, "an engine in a namespace of the name", deadline=5.0)
    wait_for(lambda: answers(f"{running.net}.10"), "traffic", deadline=5.0)
    assert before
    assert not any(_runs(pid) for pid in before)


def test_a_document_of_the_future_changes_nothing(running: Installation) -> None:
    """A later version is a final fault, a frame nobody can read is passed over; traffic goes on."""
    _serve(running)
    running.gateway.send(wire.Document(spec=running.amphora(revision=2, version=99)))
    wait_for(lambda: bool(_faults(running, running.amphora_id())), "a fault")
    report = running.gateway.amphorae[running.amphora_id()]
    assert report.revision == 1
    assert report.serving
    assert [(fault.final, "version 99" in fault.text) for fault in report.faults] == [(True, True)]
    unreadable = {"kind": "document", "spec": {"amphora_id": running.amphora_id(), "revision": "x"}}
    running.gateway.send_bytes(msgspec.msgpack.encode(unreadable))
    running.gateway.send_bytes(msgspec.msgpack.encode({"kind": "of-another-release"}))
    running.gateway.send(wire.Document(spec=running.amphora(revision=3)))
    assert running.gateway.in_force(running.amphora_id(), 3).faults == ()
    assert answers(f"{running.net}.10")
    assert len(running.gateway.hellos) == 1


def test_values_nobody_knows_harm_nobody_else(running: Installation) -> None:
    """A protocol, an algorithm, a MAC, an address of no known form: faults there only."""
    _serve(running)
    (listener,), (pool,) = running.amphora(11).listeners, running.amphora(11).pools
    (interface,) = running.amphora(11).interfaces
    nowhere = (Address(ip="x", prefix=24),)
    odd: tuple[dict[str, object], ...] = (
        {"listeners": (msgspec.structs.replace(listener, protocol="QUIC"),)},
        {"pools": (msgspec.structs.replace(pool, algorithm="MAGIC"),)},
        {"interfaces": (msgspec.structs.replace(interface, mac="nonsense"),)},
        {"interfaces": (msgspec.structs.replace(interface, addresses=nowhere),)},
    )
    for revision, fields in enumerate(odd, start=1):
        running.gateway.forget()
        running.gateway.send(wire.Document(spec=running.amphora(11, revision=revision, **fields)))
        wait_for(lambda: bool(_faults(running, running.amphora_id(11))), f"a fault for {fields}")
    running.gateway.send(wire.Document(spec=running.amphora(11, revision=9)))
    assert running.gateway.in_force(running.amphora_id(11), 9).faults == ()
    assert answers(f"{running.net}.10")
    assert answers(f"{running.net}.11")


def test_an_ipv6_only_amphora_serves(running: Installation) -> None:
    """VIP, member and default route are IPv6 alone; the machine reaches it through its bridge."""
    running.add_backend(ipv6=True)
    every = running.interface()
    interface = running.interface(
        addresses=tuple(each for each in every.addresses if ":" in each.ip),
        routes=tuple(each for each in every.routes if ":" in each.via),
    )
    vip = f"{running.net6}:10"
    spec = running.amphora(vips=(vip,), interfaces=(interface,))
    running.gateway.send(wire.Document(spec=spec))
    assert running.gateway.in_force(running.amphora_id(), 1).faults == ()
    assert get(vip) == "backend0"
    name = running.space().name
    routes = json.loads(shell("ip", "-n", name, "-6", "-j", "route", "show", "default"))
    assert [each["gateway"] for each in routes] == [f"{running.net6}:1"]
    running.restart_agent()
    running.gateway.in_force(running.amphora_id(), 1)
    assert get(vip) == "backend0"


@pytest.mark.parametrize("amphora_id", ["../escape", "no-uuid"])
def test_a_document_with_a_bad_id_harms_nothing(running: Installation, amphora_id: str) -> None:
    """Such a document is refused; the stream and the others go on."""
    running.gateway.send(wire.Retire(amphora_id=amphora_id, epoch=1, revision=1))
    _serve(running)
    assert len(running.gateway.hellos) == 1


def test_neighbours_learn_a_new_mac(running: Installation) -> None:
    """A client that knew the VIP by another MAC is served at once, not after its cache ages."""
    _serve(running)
    vip, bridge = f"{running.net}.10", running.bridge
    interface = running.interface()
    retire = wire.Retire(amphora_id=running.amphora_id(), epoch=1, revision=2)
    running.gateway.send(retire)
    running.gateway.in_force(running.amphora_id(), 2)
    shell("ip", "neigh", "replace", vip, "lladdr", "02:de:ad:be:ef:00", "dev", bridge,
          "nud", "reachable")  # fmt: skip
    running.gateway.send(wire.Document(spec=running.amphora(revision=3)))
    running.gateway.in_force(running.amphora_id(), 3)

    def known() -> str:
        return str(json.loads(shell("ip", "-j", "neigh", "show", vip, "dev", bridge))[0]["lladdr"])

    wait_for(lambda: known() == interface.mac, "the new MAC", known, deadline=3.0)
    assert answers(vip)


def _faults(installation: Installation, amphora_id: str) -> tuple[Fault, ...]:
    report = installation.gateway.amphorae.get(amphora_id)
    return report.faults if report is not None else ()


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
