"""Single-call creations: a load balancer with everything under it (`spec/api-resources` §1.4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.harness import SUBNET, UNKNOWN, Api

RULE = "Validation failure: "
LISTENER = {"protocol": "HTTP", "protocol_port": 80}
POOL = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MEMBER = {"address": "10.9.0.1", "protocol_port": 80}
MONITOR = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1}


def test_a_tree_is_made_as_one(api: Api) -> None:
    """Every object is answered in full, and is what a show tells later."""
    made = api.load_balancer(
        name="tree",
        listeners=[
            {**LISTENER, "name": "in", "default_pool": {**POOL, "name": "inner", "tags": ["t"]}},
            {**LISTENER, "name": "ref", "protocol_port": 81, "default_pool": {"name": "outer"}},
            {**LISTENER, "name": "none", "protocol_port": 82},
        ],
        pools=[
            {
                **POOL,
                "name": "outer",
                "members": [MEMBER, {**MEMBER, "address": "10.9.0.2", "weight": 7}],
                "healthmonitor": MONITOR,
                "session_persistence": {"type": "SOURCE_IP"},
            }
        ],
    )
    pools = {one["name"]: one for one in made["pools"]}
    listeners = {one["name"]: one for one in made["listeners"]}
    assert listeners["in"]["default_pool_id"] == pools["inner"]["id"]
    assert listeners["ref"]["default_pool_id"] == pools["outer"]["id"]
    assert listeners["none"]["default_pool_id"] is None
    outer = pools["outer"]
    assert {one["weight"] for one in outer["members"]} == {1, 7}
    assert {one["operating_status"] for one in outer["members"]} == {"NO_MONITOR"}
    assert outer["healthmonitor"]["url_path"] == "/"
    assert outer["listeners"] == [{"id": listeners["ref"]["id"]}]
    assert pools["inner"]["healthmonitor"] is None
    assert pools["inner"]["tags"] == ["t"]
    assert "loadbalancers" not in outer
    assert "healthmonitor_id" not in outer
    assert "loadbalancers" not in listeners["in"]
    assert "pools" not in outer["healthmonitor"]
    _shown_alike(api, listeners["ref"], f"/listeners/{listeners['ref']['id']}", "listener")
    monitor = outer["healthmonitor"]
    _shown_alike(api, monitor, f"/healthmonitors/{monitor['id']}", "healthmonitor")
    for member in outer["members"]:
        _shown_alike(api, member, f"/pools/{outer['id']}/members/{member['id']}", "member")
    statuses = {one["provisioning_status"] for one in (*made["listeners"], *made["pools"], made)}
    assert statuses == {"PENDING_CREATE"}
    shown = api.get(f"/loadbalancers/{made['id']}")["loadbalancer"]
    assert {one["id"] for one in shown["pools"]} == {one["id"] for one in made["pools"]}


def _shown_alike(api: Api, made: dict[str, Any], path: str, root: str) -> None:
    shown = api.get(path)[root]
    assert {name: shown[name] for name in made} == made


def test_a_single_unnamed_pool_is_fine(api: Api) -> None:
    """At the top level only."""
    made = api.load_balancer(pools=[{**POOL, "name": ""}])
    assert [one["name"] for one in made["pools"]] == [""]


def _tree(listeners: list[Any] | None = None, pools: list[Any] | None = None) -> dict[str, Any]:
    return {"vip_subnet_id": SUBNET, "listeners": listeners or [], "pools": pools or []}


BAD: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "dangling reference": (
        _tree([{**LISTENER, "default_pool": {"name": "x"}}]),
        400,
        f"{RULE}Pool 'x' was referenced but no full definition was found.",
    ),
    "incomplete definition": (
        _tree([{**LISTENER, "default_pool": {"name": "x", "protocol": "HTTP"}}]),
        400,
        f"{RULE}Pool definition for 'x' missing required attribute: lb_algorithm",
    ),
    "incomplete pool at the top": (
        _tree(pools=[{"name": "x"}]),
        400,
        f"{RULE}Pool definition for 'x' missing required attribute: protocol",
    ),
    "unnamed inline pool": (
        _tree([{**LISTENER, "default_pool": {**POOL, "name": None}}]),
        400,
        f"{RULE}Pools must be named when creating a fully populated loadbalancer.",
    ),
    "same name twice": (
        _tree([{**LISTENER, "default_pool": POOL}], [POOL]),
        400,
        f"{RULE}Pool names must be unique when creating a fully populated loadbalancer.",
    ),
    "two unnamed pools": (
        _tree(pools=[{**POOL, "name": ""}] * 2),
        400,
        f"{RULE}Pool names must be unique when creating a fully populated loadbalancer.",
    ),
    "protocols that do not fit": (
        _tree([{**LISTENER, "default_pool": {**POOL, "protocol": "TCP"}}]),
        400,
        f"{RULE}The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'.",
    ),
    "pool of a PROMETHEUS listener": (
        _tree([{"protocol": "PROMETHEUS", "protocol_port": 8, "default_pool": POOL}]),
        400,
        "Protocol PROMETHEUS listeners cannot have child objects.",
    ),
    "default pool by id": (
        _tree([{**LISTENER, "default_pool_id": UNKNOWN}]),
        404,
        f"Pool {UNKNOWN} not found.",
    ),
    "two listeners on a port": (
        _tree([LISTENER, {**LISTENER, "protocol": "TCP"}]),
        409,
        "Another Listener on this Load Balancer is already using protocol HTTP "
        "and protocol_port 80",
    ),
    "two members at an address": (
        _tree(pools=[{**POOL, "members": [MEMBER, MEMBER]}]),
        409,
        "Another member on this pool is already using ip 10.9.0.1 on protocol_port 80",
    ),
    "monitor that the pool cannot have": (
        _tree(pools=[{**POOL, "healthmonitor": {**MONITOR, "type": "SCTP"}}]),
        400,
        f"{RULE}The SCTP type is only supported for pools of type UDP/SCTP.",
    ),
    "member at a reserved address": (
        _tree(pools=[{**POOL, "members": [{**MEMBER, "address": "169.254.169.254"}]}]),
        400,
        "169.254.169.254 is not a valid option for member address",
    ),
    "member on a subnet that nobody sees": (
        _tree(
            [{**LISTENER, "default_pool": {**POOL, "members": [{**MEMBER, "subnet_id": UNKNOWN}]}}]
        ),
        400,
        f"Subnet {UNKNOWN} not found.",
    ),
    "networks of the wrong family": (
        _tree([{**LISTENER, "allowed_cidrs": ["fd00::/8"]}]),
        400,
        None,
    ),
    "cookie without a name": (
        _tree(pools=[{**POOL, "session_persistence": {"type": "APP_COOKIE"}}]),
        400,
        None,
    ),
    "project of a listener": (
        _tree([{**LISTENER, "project_id": "x"}]),
        400,
        "Unknown attribute for argument load_balancer.loadbalancer.listeners: project_id",
    ),
    "load balancer of a pool": (
        _tree(pools=[{**POOL, "loadbalancer_id": UNKNOWN}]),
        400,
        "Unknown attribute for argument load_balancer.loadbalancer.pools: loadbalancer_id",
    ),
    "key of an inner member": (
        _tree([{**LISTENER, "default_pool": {**POOL, "members": [{"ip": "x"}]}}]),
        400,
        "Unknown attribute for argument "
        "load_balancer.loadbalancer.listeners.default_pool.members: ip",
    ),
    "UDP": (_tree([{"protocol": "UDP", "protocol_port": 53}]), 501, None),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_tree_leaves_nothing(api: Api, case: str) -> None:
    """No row, no work, no port."""
    values, status, text = BAD[case]
    before = api.snapshot()
    result = api.call("POST", "/loadbalancers", {"loadbalancer": values})
    assert result.status_code == status
    if text is not None:
        assert result.json["faultstring"] == text
    assert api.snapshot() == before
    assert api.networks.ports == {}
