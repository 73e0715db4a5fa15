"""Who may do what (`spec/api-behaviour` §3.5); lists are in `test_lists`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from statera.api.settings import ApiSettings
from tests.api.harness import FOREIGN, PROJECT, SUBNET, UNKNOWN, Api, running_api
from tests.api.worlds import World

CALLERS = {
    "admin": "admin@elsewhere",
    "unscoped admin": "admin",
    "member": f"member@{PROJECT}",
    "foreign member": f"member@{FOREIGN}",
    "reader": f"reader@{PROJECT}",
    "service": f"service@{PROJECT}",
    "old role": f"load-balancer_admin@{PROJECT}",
    "unscoped member": "member",
}
READS = [
    "/loadbalancers/{root}",
    "/loadbalancers/{root}/stats",
    "/loadbalancers/{root}/status",
    "/loadbalancers/{root}/statuses",
    "/listeners/{listener}",
    "/listeners/{listener}/stats",
    "/pools/{pool}",
    "/pools/{pool}/members/{member}",
    "/healthmonitors/{monitor}",
]
WRITES = {
    "/loadbalancers/{root}": "loadbalancer",
    "/listeners/{listener}": "listener",
    "/pools/{pool}": "pool",
    "/pools/{pool}/members/{member}": "member",
    "/healthmonitors/{monitor}": "healthmonitor",
}
REFUSAL = "Policy does not allow this request to be performed."


@pytest.fixture(name="world", scope="module")
def world_fixture(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world of `PROJECT`; writes that are let through change names only."""
    with running_api(database_kind, tmp_path_factory.mktemp("policy"), ApiSettings()) as api:
        yield World(api)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("path", READS)
def test_reads(world: World, caller: str, path: str) -> None:
    """Admins, and members and readers of the project."""
    result = world.api.call("GET", world.filled(path), as_=CALLERS[caller])
    allowed = caller in ("admin", "unscoped admin", "member", "reader")
    assert result.status_code == (200 if allowed else 403)
    if not allowed:
        assert result.json["faultstring"] == REFUSAL


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("path", WRITES)
def test_updates(world: World, caller: str, path: str) -> None:
    """Admins, and members of the project; who may not changes nothing."""
    before = world.api.snapshot()
    body = {WRITES[path]: {"name": "x"}}
    result = world.api.call("PUT", world.filled(path), body, as_=CALLERS[caller])
    allowed = caller in ("admin", "unscoped admin", "member")
    assert result.status_code == (200 if allowed else 403)
    assert allowed or world.api.snapshot() == before


@pytest.mark.parametrize("caller", ["foreign member", "reader", "service", "unscoped member"])
@pytest.mark.parametrize("path", WRITES)
def test_deletions_refused(world: World, caller: str, path: str) -> None:
    """Before anything about the object is told."""
    result = world.api.call("DELETE", world.filled(path), as_=CALLERS[caller])
    assert (result.status_code, result.json["faultstring"]) == (403, REFUSAL)


CREATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "/listeners": ("listener", {"protocol": "TCP", "protocol_port": 9}),
    "/pools": ("pool", {"protocol": "TCP", "lb_algorithm": "SOURCE_IP"}),
    "/pools/{pool}/members": ("member", {"address": "10.0.0.9", "protocol_port": 9}),
    "/healthmonitors": (
        "healthmonitor",
        {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1},
    ),
}


@pytest.mark.parametrize("caller", ["foreign member", "reader", "service"])
@pytest.mark.parametrize("path", CREATIONS)
def test_creations_refused(world: World, caller: str, path: str) -> None:
    """The target is the project of the load balancer."""
    root, values = CREATIONS[path]
    parents = {"/listeners": "loadbalancer_id", "/pools": "loadbalancer_id"}
    key = {"/healthmonitors": "pool_id", **parents}.get(path)
    owner = {} if key is None else {key: world.root if key in parents.values() else world.free}
    body = {root: {**values, **owner}}
    result = world.api.call("POST", world.filled(path), body, as_=CALLERS[caller])
    assert (result.status_code, result.json["faultstring"]) == (403, REFUSAL)


@pytest.mark.parametrize("caller", ["foreign member", "reader"])
def test_batches_refused(world: World, caller: str) -> None:
    """Whoever may not create, change and delete."""
    path = f"/pools/{world.pool}/members"
    result = world.api.call("PUT", path, {"members": []}, as_=CALLERS[caller])
    assert result.status_code == 403


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/loadbalancers/{id}", "Load Balancer {id} not found."),
        ("/loadbalancers/{id}/status", "Load Balancer {id} not found."),
        ("/loadbalancers/{id}/stats", "Load Balancer {id} not found."),
        ("/listeners/{id}", "Listener {id} not found."),
        ("/listeners/{id}/stats", "Listener {id} not found."),
        ("/pools/{id}", "Pool {id} not found."),
        ("/pools/{pool}/members/{id}", "Member {id} not found."),
        ("/pools/{free}/members/{member}", "Member {member} not found."),
        ("/healthmonitors/{id}", "Health Monitor {id} not found."),
    ],
)
def test_missing_objects_are_404_to_everybody(world: World, path: str, text: str) -> None:
    """Looked up before policy."""
    result = world.api.call("GET", world.filled(path.replace("{id}", UNKNOWN)), as_="nobody")
    assert result.status_code == 404
    assert result.json["faultstring"] == world.filled(text.replace("{id}", UNKNOWN))


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("GET", "", None),
        ("POST", "", {"member": {"address": "10.0.0.1", "protocol_port": 1}}),
        ("PUT", "", {"members": []}),
        ("GET", f"/{UNKNOWN}", None),
        ("PUT", f"/{UNKNOWN}", {"member": {}}),
        ("DELETE", f"/{UNKNOWN}", None),
    ],
)
def test_unknown_pools_of_members_are_404_in_the_routing_envelope(
    world: World, method: str, suffix: str, body: object
) -> None:
    """With the title that clients know."""
    result = world.api.call(method, f"/pools/{UNKNOWN}/members{suffix}", body)
    text = f"Pool {UNKNOWN} not found."
    assert result.json == {"code": 404, "title": "Bad Request", "description": text}


def test_services_may_list_members(world: World) -> None:
    """And nothing else."""
    members = world.api.get(f"/pools/{world.pool}/members", as_=CALLERS["service"])["members"]
    assert [one["id"] for one in members] == [world.member]


@pytest.mark.parametrize(
    ("caller", "values", "status", "owner"),
    [
        (f"member@{PROJECT}", {}, 201, PROJECT),
        (f"member@{PROJECT}", {"project_id": FOREIGN}, 403, None),
        (f"member@{PROJECT}", {"tenant_id": FOREIGN}, 403, None),
        ("admin@elsewhere", {"project_id": FOREIGN}, 201, FOREIGN),
        ("admin@elsewhere", {"project_id": PROJECT, "tenant_id": FOREIGN}, 201, FOREIGN),
        (f"reader@{PROJECT}", {}, 403, None),
        ("admin", {}, 400, None),
        ("admin", {"project_id": PROJECT}, 201, PROJECT),
    ],
)
def test_who_owns_a_new_load_balancer(
    api: Api, caller: str, values: dict[str, str], status: int, owner: str | None
) -> None:
    """The project that the body names, else the token's."""
    body = {"loadbalancer": {"vip_subnet_id": SUBNET, **values}}
    result = api.call("POST", "/loadbalancers", body, as_=caller)
    assert result.status_code == status
    if owner:
        shown = result.json["loadbalancer"]
        assert (shown["project_id"], shown["tenant_id"]) == (owner, owner)


def test_failover_is_for_admins_and_not_there_yet(world: World) -> None:
    """403 for members, an honest 501 for admins."""
    path = f"/loadbalancers/{world.root}/failover"
    assert world.api.call("PUT", path).status_code == 403
    result = world.api.call("PUT", path, as_="admin")
    text = "Provider 'amphora' does not support a requested action: "
    assert result.status_code == 501
    assert result.json["faultcode"] == "Server"
    assert result.json["faultstring"].startswith(text)
