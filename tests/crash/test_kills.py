"""kill -9 of every process, on real traffic: no accepted write is lost, no request either."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.crash.conftest import Balanced, answers
from tests.installation import Installation, eventually, installation, run
from tests.traffic import load
from tests.trees import http_tree

pytestmark = pytest.mark.xdist_group("crash")


def engines(here: Installation) -> set[int]:
    """Return the pids of the HAProxy processes of an installation."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"haproxy" in command[0] and str(here.directory).encode() in b" ".join(command):
            found.add(int(entry.name))
    return found


@pytest.mark.parametrize("name", ["controller", "gateway", "api"])
def test_a_killed_process_loses_no_accepted_write(balanced: Balanced, name: str) -> None:
    """Writes accepted around the death of a process come into force; traffic goes on meanwhile."""
    here = balanced.here
    member = balanced.members()[0]
    with load(balanced.address, connections=8) as tally:
        here.call(
            "PUT", f"/pools/{balanced.pool_id}/members/{member['id']}", {"member": {"weight": 7}}
        )
        old = here.kill(name)
        eventually(f"a new {name}", lambda: here.processes().get(name) not in (None, old))
        eventually("the API answers", lambda: here.call("GET", "/loadbalancers"))
        name_after = f"after-{name}"
        body = {"loadbalancer": {"name": name_after}}
        here.call("PUT", f"/loadbalancers/{balanced.load_balancer['id']}", body)
        shown = here.settled(balanced.load_balancer["id"])
        assert shown["name"] == name_after
        assert {m["weight"] for m in balanced.members()} >= {7}
    assert tally.failures == []
    assert tally.requests > 0


def test_a_killed_engine_comes_back(balanced: Balanced) -> None:
    """HAProxy killed: another one serves, without the controller's help."""
    (old,) = engines(balanced.here)
    os.kill(old, signal.SIGKILL)
    eventually("another HAProxy", lambda: engines(balanced.here) - {old}, 5)
    eventually("answers again", lambda: answers(balanced.address), 5)


def test_a_killed_agent_disturbs_nothing(balanced: Balanced) -> None:
    """The agent killed: traffic goes on, and afterwards the same HAProxy serves."""
    before = engines(balanced.here)
    with load(balanced.address, connections=8) as tally:
        old = balanced.here.kill("agent")
        eventually("a new agent", lambda: balanced.here.processes().get("agent") not in (None, old))
        member = balanced.members()[0]
        path = f"/pools/{balanced.pool_id}/members/{member['id']}"
        balanced.here.call("PUT", path, {"member": {"weight": 3}})
        balanced.here.settled(balanced.load_balancer["id"])
    assert tally.failures == []
    assert engines(balanced.here) == before


def test_a_refused_object_leaves_the_rest_in_force(balanced: Balanced) -> None:
    """What HAProxy refuses is in ERROR alone; requests go on; a good wish clears it."""
    here = balanced.here
    pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "name": "refused"}
    pool["loadbalancer_id"] = balanced.load_balancer["id"]
    pool_id = here.call("POST", "/pools", {"pool": pool})["pool"]["id"]
    listener = {"protocol": "HTTP", "protocol_port": 81, "default_pool_id": pool_id}
    listener["loadbalancer_id"] = balanced.load_balancer["id"]
    here.call("POST", "/listeners", {"listener": listener})
    member = balanced.backends[0].member()
    here.call("POST", f"/pools/{pool_id}/members", {"member": member})
    monitor = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, "pool_id": pool_id}
    with load(balanced.address, connections=8) as tally:
        refused = {"healthmonitor": {**monitor, "expected_codes": "500-200"}}
        monitor_id = here.call("POST", "/healthmonitors", refused)["healthmonitor"]["id"]

        def status() -> str:
            shown = here.call("GET", f"/healthmonitors/{monitor_id}")["healthmonitor"]
            return str(shown["provisioning_status"])

        eventually("the monitor in ERROR", lambda: status() == "ERROR")
        here.settled(balanced.load_balancer["id"])
        better = {"healthmonitor": {"expected_codes": "200"}}
        here.call("PUT", f"/healthmonitors/{monitor_id}", better)
        eventually("the monitor ACTIVE", lambda: status() == "ACTIVE")
    assert tally.failures == []
    here.call("DELETE", f"/pools/{pool_id}")


def test_a_machine_without_controllers_serves_after_a_reboot() -> None:
    """Everything dead and every namespace gone: the agent alone brings the data plane back."""
    with installation() as here:
        _, subnet = here.network()
        tree = http_tree(subnet, [], monitored=False)
        created = here.call("POST", "/loadbalancers", tree)["loadbalancer"]
        here.settled(created["id"])
        address = created["vip_address"]
        for name in ("controller", "gateway", "api", "agent"):
            os.kill(here.processes()[name], signal.SIGSTOP)
        for pid in engines(here):
            os.kill(pid, signal.SIGKILL)
        for line in run("ip", "netns", "list").splitlines():
            if line.startswith(own_prefix(here)):
                run("ip", "netns", "del", line.split()[0])
        agent = here.processes()["agent"]
        os.kill(agent, signal.SIGKILL)
        eventually("HAProxy is back", lambda: engines(here))
        eventually("the VIP answers", lambda: served(address))
        for name in ("controller", "gateway", "api"):
            os.kill(here.processes()[name], signal.SIGCONT)


def served(address: str) -> bool:
    """Say whether anything answers HTTP at the VIP (503: no members, and rightly so)."""
    return httpx.get(f"http://{address}/", timeout=2).status_code == 503


def own_prefix(here: Installation) -> str:
    """Return what the names of everything that an installation makes begin with."""
    short = (here.directory / "state" / "installation").read_text().strip()
    return f"st{short}"


def test_down_leaves_nothing() -> None:
    """After `statera down` no namespace, process, bridge or socket of ours is left."""
    with installation() as here:
        _, subnet = here.network()
        tree = http_tree(subnet, [], monitored=False)
        created = here.call("POST", "/loadbalancers", tree)["loadbalancer"]
        here.settled(created["id"])
        prefix = own_prefix(here)
        pids = set(here.processes().values()) | engines(here)
        here.down()
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
        assert prefix not in run("ip", "link", "show")
        assert prefix not in run("ip", "netns", "list")
        assert prefix not in run("nft", "list", "tables")
