"""An agent that meets the wrong database keeps serving everything that it has (design §7)."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.crash.conftest import answers
from tests.dataplane.safety.conftest import Serving, back_up, halt, replace, status, words
from tests.installation import Installation, eventually
from tests.traffic import load
from tests.trees import http_tree

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
    pytest.mark.xdist_group("safety"),
]


NEWER = "has a newer document: repair is needed"


def machine(here: Installation) -> dict[str, Any]:
    """Return what the status says about this machine, once its agent has said hello."""

    def found() -> dict[str, Any] | None:
        ours = (here.directory / "state" / "agent" / "machine-id").read_text().strip()
        each: dict[str, Any]
        for each in status(here)["machines"]:
            if each["id"] == ours and each["connected"]:
                return each
        return None

    return eventually("hello", found)


def gone(here: Installation, load_balancer_id: str) -> bool:
    """Say whether a load balancer is deleted: its agent has said that nothing of it is left."""
    listed = here.call("GET", "/loadbalancers")["loadbalancers"]
    return load_balancer_id not in {each["id"] for each in listed}


def everything_goes_on(serving: Serving) -> None:
    """A change of the load balancer comes into force, and is the only one that serves."""
    here = serving.here
    here.settled(serving.id)
    found = machine(here)
    assert found["ahead"] == 0
    members = here.call("GET", f"/pools/{serving.pool_id}/members")["members"]
    off = {"member": {"admin_state_up": False}}
    here.call("PUT", f"/pools/{serving.pool_id}/members/{members[0]['id']}", off)
    here.settled(serving.id)
    assert {answers(serving.address) for _ in range(6)} == {members[1]["name"]}


def meets(serving: Serving, database: Path | None) -> None:
    """Let the installation go on with another database."""
    halt(serving.here)
    replace(serving.here, database)
    serving.here.up()


def test_an_empty_database(serving: Serving, tmp_path: Path) -> None:
    """Nothing is removed, the status says so, new things work beside it, the old one returns."""
    here, right = serving.here, tmp_path / "right.db"
    before = serving.data_plane()
    with load(serving.address, connections=2) as tally:
        halt(here)
        back_up(here, right)
        replace(here, None)
        here.up()
        found = machine(here)
        assert (found["unknown"], found["ahead"]) == (2, 0)
        said = words(here)
        assert "holds 2 documents unknown to this database and serves on" in said
        assert here.call("GET", "/loadbalancers") == {
            "loadbalancers": [],
            "loadbalancers_links": [],
        }
        assert serving.data_plane() == before
        _new_things_keep_away(serving)
        assert before[0] < serving.data_plane()[0]
        assert before[1] < serving.data_plane()[1]
        meets(serving, right)
        assert machine(here)["unknown"] == 2  # what was made meanwhile is not removed either
        everything_goes_on(serving)
    assert tally.failures == []
    assert set(tally.answers) == {"one", "two"}


def _new_things_keep_away(serving: Serving) -> None:
    """The ranges that the machine carries are taken; others serve."""
    here = serving.here
    network = here.neutron("networks", {"network": {"name": "new"}})["network"]["id"]
    body = {"network_id": network, "cidr": serving.cidr, "ip_version": 4}
    refused = here.http.post("/network/v2.0/subnets", json={"subnet": body})
    assert refused.status_code == 409, refused.text
    subnet = here.neutron("subnets", {"subnet": {**body, "cidr": "10.236.1.0/24"}})["subnet"]["id"]
    tree = http_tree(subnet, [], monitored=False, name="new")
    created = here.call("POST", "/loadbalancers", tree)["loadbalancer"]
    here.settled(created["id"])


def test_another_installations_database(another: Path, serving: Serving, tmp_path: Path) -> None:
    """Its network has the same addresses; what serves stays, and what cannot be is said."""
    here, right = serving.here, tmp_path / "right.db"
    ours = here.directory / "state" / "clouds.yaml"
    shutil.copy(ours, tmp_path / "clouds.yaml")
    before = serving.data_plane()
    with load(serving.address, connections=2) as tally:
        halt(here)
        back_up(here, right)
        shutil.copy(another / "clouds.yaml", ours)
        replace(here, another / "statera.db")
        here.up()
        assert machine(here)["unknown"] == 2
        assert "is this the right database?" in words(here)
        (theirs,) = here.call("GET", "/loadbalancers")["loadbalancers"]
        (listener,) = theirs["listeners"]
        here.call("PUT", f"/listeners/{listener['id']}", {"listener": {"connection_limit": 7}})
        eventually("a reason", lambda: "is silent" in status(here)["faults"].get(theirs["id"], ""))
        here.call("DELETE", f"/loadbalancers/{theirs['id']}?cascade=true")
        assert serving.data_plane() == before
        shutil.copy(tmp_path / "clouds.yaml", ours)
        meets(serving, right)
        everything_goes_on(serving)
    assert tally.failures == []


def test_a_backup_from_before_the_last_changes(serving: Serving, tmp_path: Path) -> None:
    """The agent is ahead: its newer state serves on, nothing overrules it, the status says it."""
    here, backup, right = serving.here, tmp_path / "backup.db", tmp_path / "right.db"
    doomed = serving.add("doomed")
    back_up(here, backup)
    second = {"protocol": "HTTP", "protocol_port": 81, "default_pool_id": serving.pool_id}
    for port in (81, 82):
        body = {**second, "protocol_port": port, "loadbalancer_id": serving.id}
        here.call("POST", "/listeners", {"listener": body})
        here.settled(serving.id)
    added = serving.add("added")
    here.call("DELETE", f"/loadbalancers/{doomed['id']}?cascade=true")
    eventually("gone", lambda: gone(here, doomed["id"]))
    before = serving.data_plane()
    with load(serving.address, 81, connections=2) as tally, load(added["vip_address"]) as other:
        halt(here)
        back_up(here, right)
        replace(here, backup)
        here.up()
        found = machine(here)
        assert (found["unknown"], found["ahead"]) == (1, 2)
        said = words(here)
        assert "holds 2 documents newer than this database" in said
        assert "repair is needed" in said
        _nothing_is_overruled(serving, doomed["id"])
        assert serving.data_plane() == before
        meets(serving, right)
        everything_goes_on(serving)
    assert tally.failures == []
    assert other.failures == []
    assert answers(added["vip_address"]) in {"one", "two"}


def test_a_backup_with_a_wish_not_yet_in_force(serving: Serving, tmp_path: Path) -> None:
    """Restored, it publishes at once, under numbers that the agent knows already: not obeyed."""
    here, backup = serving.here, tmp_path / "backup.db"
    os.kill(here.processes()["controller"], signal.SIGSTOP)
    member = here.call("GET", f"/pools/{serving.pool_id}/members")["members"][0]
    path = f"/pools/{serving.pool_id}/members/{member['id']}"
    here.call("PUT", path, {"member": {"admin_state_up": False}})
    back_up(here, backup)
    here.call("PUT", path, {"member": {"admin_state_up": True}})
    body = {"protocol": "HTTP", "protocol_port": 81, "default_pool_id": serving.pool_id}
    here.call("POST", "/listeners", {"listener": {**body, "loadbalancer_id": serving.id}})
    os.kill(here.processes()["controller"], signal.SIGCONT)
    here.settled(serving.id)
    with load(serving.address, 81, connections=2) as tally:
        halt(here)
        replace(here, backup)
        here.up()
        assert machine(here)["ahead"] == 1
        for weight in (5, 6):
            here.call("PUT", path, {"member": {"weight": weight}})
            eventually("a reason", lambda: NEWER in status(here)["faults"].get(serving.id, ""))
        shown = here.call("GET", path)["member"]
        assert shown["provisioning_status"] == "PENDING_UPDATE"
    assert tally.failures == []
    assert set(tally.answers) == {"one", "two"}


def _nothing_is_overruled(serving: Serving, doomed_id: str) -> None:
    """Wishes are accepted and wait; each load balancer says in words what for."""
    here = serving.here
    members = f"/pools/{serving.pool_id}/members"
    for weight in (5, 6, 7, 8):
        member = here.call("GET", members)["members"][0]
        here.call("PUT", f"{members}/{member['id']}", {"member": {"weight": weight}})
        eventually("a reason", lambda: NEWER in status(here)["faults"].get(serving.id, ""))
        shown = here.call("GET", f"{members}/{member['id']}")["member"]
        assert shown["provisioning_status"] == "PENDING_UPDATE"
    here.call("PUT", f"/loadbalancers/{doomed_id}", {"loadbalancer": {"name": "revived"}})
    eventually("a reason", lambda: NEWER in status(here)["faults"].get(doomed_id, ""))
    here.call("DELETE", f"/loadbalancers/{serving.id}?cascade=true")
    eventually("a reason", lambda: NEWER in status(here)["faults"].get(serving.id, ""))
