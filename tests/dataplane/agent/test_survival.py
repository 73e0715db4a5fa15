"""The data plane stands alone: agents die, machines start again, gateways are silent."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from statera.spec import wire
from tests.dataplane.agent.installation import Installation, answers, get, shell, traces
from tests.dataplane.agent.waiting import wait_for


@pytest.fixture
def serving(running: Installation) -> Installation:
    """An installation with one amphora that serves one backend."""
    running.add_backend()
    running.gateway.send(wire.Document(spec=running.amphora()))
    running.gateway.in_force(running.amphora_id(), 1)
    assert get(f"{running.net}.10") == "backend0"
    return running


class Traffic:
    """Counts requests through a VIP and those that failed."""

    def __init__(self, vip: str) -> None:
        self.good = 0
        self.bad: list[str] = []
        self._vip = vip
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                get(self._vip)
                self.good += 1
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))

    @contextlib.contextmanager
    def flowing(self) -> Iterator[None]:
        """Send requests, one after the other, all the while."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def wait_more(self, requests: int) -> None:
        """Wait until so many more requests were answered."""
        goal = self.good + requests
        wait_for(lambda: self.good >= goal or bool(self.bad), f"{requests} more requests")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_agent_ends_and_traffic_goes_on(serving: Installation, number: signal.Signals) -> None:
    """No request fails; the next agent takes over the same processes and links, and reports."""
    pids = serving.engine_pids()
    link = _link(serving)
    traffic = Traffic(f"{serving.net}.10")
    with traffic.flowing():
        serving.end_agent(number)
        traffic.wait_more(50)
        serving.gateway.forget()
        serving.start_agent()
        report = serving.gateway.in_force(serving.amphora_id(), 1)
        traffic.wait_more(50)
    assert traffic.bad == []
    assert report.serving
    assert report.faults == ()
    assert report.listeners
    assert serving.gateway.networks[serving.network_id].fault is None
    assert serving.engine_pids() == pids
    assert _link(serving) == link
    assert serving.gateway.hellos[-1].machine_id == serving.gateway.hellos[0].machine_id


def test_a_reboot_needs_no_controller(serving: Installation) -> None:
    """Everything is gone and nobody answers the agent: it serves again from its own disk."""
    serving.gateway.stop()
    serving.lose_the_machine()
    assert traces(serving.names) == []
    assert not answers(f"{serving.net}.10")
    serving.start_agent()
    wait_for(lambda: serving.bridge in traces(serving.names), "the bridge")
    serving.reconnect_backends()
    wait_for(lambda: answers(f"{serving.net}.10"), "traffic", deadline=10.0)


def test_an_empty_gateway_kills_nothing(serving: Installation) -> None:
    """A gateway with an empty database, and one that speaks nonsense, change nothing."""
    pids = serving.engine_pids()
    serving.gateway.stop()
    serving.gateway.forget()
    serving.gateway.hellos.clear()
    serving.gateway.start()
    assert serving.gateway.in_force(serving.amphora_id(), 1).serving
    held = {(each.id, each.network, each.revision) for each in serving.gateway.hellos[0].held}
    assert held == {(serving.amphora_id(), False, 1), (serving.network_id, True, 1)}
    serving.gateway.forget()
    serving.gateway.send_bytes(b"\xc1 nonsense")
    serving.gateway.send(wire.Network(spec=serving.network(revision=1)))
    serving.gateway.network_in_force(serving.network_id, 1)
    assert serving.engine_pids() == pids
    assert answers(f"{serving.net}.10")


def test_a_damaged_record_costs_one_amphora_only(serving: Installation) -> None:
    """The others are restored; the damaged one is not held, runs on, and comes back."""
    serving.gateway.send(wire.Document(spec=serving.amphora(11)))
    serving.gateway.in_force(serving.amphora_id(11), 1)
    serving.end_agent(signal.SIGKILL)
    damaged = serving.state / "documents" / "amphorae" / serving.amphora_id(11)
    damaged.write_bytes(b"torn")
    serving.gateway.forget()
    serving.gateway.hellos.clear()
    serving.start_agent()
    assert serving.gateway.in_force(serving.amphora_id(), 1).serving
    assert serving.amphora_id(11) not in {each.id for each in serving.gateway.hellos[0].held}
    assert get(f"{serving.net}.11") == "backend0"
    serving.gateway.send(wire.Document(spec=serving.amphora(11, revision=2)))
    assert serving.gateway.in_force(serving.amphora_id(11), 2).serving
    assert get(f"{serving.net}.11") == "backend0"


def test_what_was_taken_away_meanwhile_is_put_back(serving: Installation) -> None:
    """An address, a route and a whole namespace that vanish are there again after a restart."""
    other = serving.amphora(11)
    serving.gateway.send(wire.Document(spec=other))
    serving.gateway.in_force(serving.amphora_id(11), 1)
    serving.end_agent(signal.SIGKILL)
    pids = serving.engine_pids()
    shell("ip", "-n", serving.space().name, "addr", "del", f"{serving.net}.10/24", "dev", "eth0")
    shell("ip", "-n", serving.space().name, "route", "del", "default")
    shell("ip", "netns", "del", serving.space(11).name)
    serving.gateway.forget()
    serving.start_agent()
    assert serving.gateway.in_force(serving.amphora_id(), 1).serving
    assert serving.gateway.in_force(serving.amphora_id(11), 1).serving
    assert get(f"{serving.net}.10") == "backend0"
    assert get(f"{serving.net}.11") == "backend0"
    assert serving.engine_pids() == pids
    routes = json.loads(shell("ip", "-n", serving.space().name, "-j", "route"))
    assert routes[0]["dst"] == "default"


def test_a_bridge_that_vanished_is_plugged_again(serving: Installation) -> None:
    """The network comes back as a new bridge, soon and unasked, and the amphora is in it."""
    before = _index(serving)
    shell("ip", "link", "del", serving.bridge)
    wait_for(lambda: _index(serving) not in {None, before}, "a bridge", deadline=5.0)
    serving.reconnect_backends()
    wait_for(lambda: answers(f"{serving.net}.10"), "traffic", deadline=10.0)


def test_two_agents_do_not_share_a_disk(serving: Installation) -> None:
    """A second agent on the same state directory ends by itself; the first goes on."""
    first, serving.agent = serving.agent, None
    serving.start_agent()
    second = serving.agent
    serving.agent = first
    assert second is not None
    assert second.wait(20) != 0
    serving.gateway.send(wire.Document(spec=serving.amphora(revision=2)))
    serving.gateway.in_force(serving.amphora_id(), 2)


def _index(installation: Installation) -> int | None:
    with contextlib.suppress(OSError):
        return socket.if_nametoindex(installation.bridge)
    return None


def _link(installation: Installation) -> object:
    shown = json.loads(shell("ip", "-j", "link", "show", "master", installation.bridge))
    return sorted((each["ifindex"], each["ifname"], each["operstate"]) for each in shown)
