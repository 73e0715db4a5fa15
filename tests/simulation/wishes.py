"""Random writes of one client on one load balancer, and what each makes of what is accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.simulation.database import SUBNETS
from tests.simulation.machine import REFUSED
from tests.simulation.rows import State, copy, fresh

PORTS = (80, 81, 82, 83)
ADDRESSES = ("10.0.0.20", "10.0.0.21", "10.1.0.20", "10.1.0.21")


@dataclass(frozen=True)
class Wish:
    """A request, and the state that it leads to; None: the load balancer is doomed."""

    method: str
    path: str
    body: dict[str, Any] | None
    after: Callable[[State, str], State | None]
    """Called with the state before and the id of what is created."""


def wish(random: Random, root: str, state: State) -> Wish:
    """Return a wish that is in order, given what is accepted."""
    while True:
        found = random.choices(list(MAKERS), list(MAKERS.values()))[0](random, root, state)
        if found is not None:
            return found


def _put(path: str, noun: str, kind: str, key: str, values: dict[str, Any]) -> Wish:
    def after(state: State, _id: str) -> State:
        new = copy(state)
        new[kind][key] |= values
        return new

    return Wish("PUT", f"{path}/{key}", {noun: values}, after)


def _post(path: str, noun: str, kind: str, body: dict[str, Any], fields: dict[str, Any]) -> Wish:
    def after(state: State, made: str) -> State:
        new = copy(state)
        new[kind][made] = dict(fields)
        return new

    return Wish("POST", path, {noun: body}, after)


def _delete(path: str, key: str, after: Callable[[State, str], State | None]) -> Wish:
    return Wish("DELETE", f"{path}/{key}", None, after)


def _change_root(random: Random, root: str, state: State) -> Wish:
    del state
    values = random.choice(
        ({"name": f"n{random.randrange(100)}"}, {"admin_state_up": random.random() < 0.7})
    )
    return _put("/loadbalancers", "loadbalancer", "load_balancer", root, values)


def _delete_root(random: Random, root: str, state: State) -> Wish:
    del random
    cascade = bool(state["listener"] or state["pool"])
    suffix = "?cascade=true" if cascade else ""
    return _delete("/loadbalancers", root + suffix, lambda _state, _id: None)


def _make_listener(random: Random, root: str, state: State) -> Wish | None:
    taken = {each["protocol_port"] for each in state["listener"].values()}
    free = [port for port in PORTS if port not in taken]
    if not free:
        return None
    pools: list[str | None] = [None, *state["pool"]]
    fields = {
        "name": f"l{random.randrange(100)}",
        "admin_state_up": True,
        "protocol_port": random.choice(free),
        "default_pool_id": random.choice(pools),
        "connection_limit": -1,
        "timeout_client_data": random.choice((50_000, 40_000, 30_000, REFUSED)),
    }
    body = {**fields, "protocol": "HTTP", "loadbalancer_id": root}
    return _post("/listeners", "listener", "listener", body, fields)


def _change_listener(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["listener"]:
        return None
    values = random.choice(
        (
            {"name": f"l{random.randrange(100)}"},
            {"connection_limit": random.randrange(1, 1000)},
            {"admin_state_up": random.random() < 0.5},
            {"timeout_client_data": random.choice((50_000, 40_000, REFUSED))},
            {"default_pool_id": random.choice([None, *state["pool"]])},
        )
    )
    key = random.choice(list(state["listener"]))
    return _put("/listeners", "listener", "listener", key, values)


def _without(kind: str, key: str) -> Callable[[State, str], State]:
    def after(state: State, _id: str) -> State:
        new = copy(state)
        del new[kind][key]
        return new

    return after


def _delete_listener(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["listener"]:
        return None
    key = random.choice(list(state["listener"]))
    return _delete("/listeners", key, _without("listener", key))


def _make_pool(random: Random, root: str, state: State) -> Wish | None:
    if len(state["pool"]) >= 3:
        return None
    fields = {"name": f"p{random.randrange(100)}", "admin_state_up": True}
    fields["lb_algorithm"] = random.choice(("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"))
    body = {**fields, "protocol": "HTTP"}
    idle = [key for key, each in state["listener"].items() if each["default_pool_id"] is None]
    listener = random.choice(idle) if idle and random.random() < 0.6 else None
    body |= {"loadbalancer_id": root} if listener is None else {"listener_id": listener}
    plain = _post("/pools", "pool", "pool", body, fields)

    def after(state: State, made: str) -> State | None:
        new = plain.after(state, made)
        if new is not None and listener is not None:
            new["listener"][listener]["default_pool_id"] = made
        return new

    return Wish(plain.method, plain.path, plain.body, after)


def _change_pool(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["pool"]:
        return None
    values = random.choice(
        (
            {"lb_algorithm": random.choice(("ROUND_ROBIN", "LEAST_CONNECTIONS"))},
            {"admin_state_up": random.random() < 0.7},
        )
    )
    return _put("/pools", "pool", "pool", random.choice(list(state["pool"])), values)


def _delete_pool(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["pool"]:
        return None
    key = random.choice(list(state["pool"]))

    def after(state: State, _id: str) -> State:
        new = copy(state)
        del new["pool"][key]
        for kind in ("member", "health_monitor"):
            new[kind] = {k: each for k, each in new[kind].items() if each["pool_id"] != key}
        for listener in new["listener"].values():
            if listener["default_pool_id"] == key:
                listener["default_pool_id"] = None
        return new

    return _delete("/pools", key, after)


def _of(state: State, kind: str, pool: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((key, each) for key, each in state[kind].items() if each["pool_id"] == pool)


def _member(random: Random, pool: str, address: str) -> dict[str, Any]:
    return {
        "pool_id": pool,
        "address": address,
        "protocol_port": 80,
        "weight": random.choice((1, 2, 3, 4, REFUSED)),
        "admin_state_up": random.random() < 0.8,
        "subnet_id": SUBNETS[1] if address.startswith("10.1.") else None,
    }


def _make_member(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["pool"]:
        return None
    pool = random.choice(list(state["pool"]))
    taken = {each["address"] for _key, each in _of(state, "member", pool)}
    free = [address for address in ADDRESSES if address not in taken]
    if not free:
        return None
    fields = _member(random, pool, random.choice(free))
    body = {name: value for name, value in fields.items() if name != "pool_id"}
    return _post(f"/pools/{pool}/members", "member", "member", body, fields)


def _change_member(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["member"]:
        return None
    key = random.choice(list(state["member"]))
    values = random.choice(
        ({"weight": random.choice((1, 5, REFUSED))}, {"admin_state_up": random.random() < 0.5})
    )
    path = f"/pools/{state['member'][key]['pool_id']}/members"
    return _put(path, "member", "member", key, values)


def _delete_member(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["member"]:
        return None
    key = random.choice(list(state["member"]))
    path = f"/pools/{state['member'][key]['pool_id']}/members"
    return _delete(path, key, _without("member", key))


def _batch(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["pool"]:
        return None
    pool = random.choice(list(state["pool"]))
    chosen = random.sample(ADDRESSES, random.randrange(len(ADDRESSES) + 1))
    wanted = [_member(random, pool, address) for address in chosen]
    additive = random.random() < 0.3

    def after(state: State, _id: str) -> State:
        new = copy(state)
        there = {each["address"]: key for key, each in _of(state, "member", pool)}
        kept = set(chosen) | (set(there) if additive else set())
        for address in there.keys() - kept:
            del new["member"][there[address]]
        for number, fields in enumerate(wanted):
            new["member"][there.get(fields["address"], fresh(number))] = dict(fields)
        return new

    body = [{name: value for name, value in each.items() if name != "pool_id"} for each in wanted]
    path = f"/pools/{pool}/members" + ("?additive_only=true" if additive else "")
    return Wish("PUT", path, {"members": body}, after)


def _make_monitor(random: Random, root: str, state: State) -> Wish | None:
    del root
    watched = {each["pool_id"] for each in state["health_monitor"].values()}
    free = [pool for pool in state["pool"] if pool not in watched]
    if not free:
        return None
    pool_id, delay = random.choice(free), random.randrange(5, 20)
    fields = {"pool_id": pool_id, "delay": delay, "admin_state_up": True}
    body = {**fields, "type": "HTTP", "timeout": 3, "max_retries": 2}
    return _post("/healthmonitors", "healthmonitor", "health_monitor", body, fields)


def _change_monitor(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["health_monitor"]:
        return None
    key = random.choice(list(state["health_monitor"]))
    values = {"delay": random.randrange(5, 20)}
    return _put("/healthmonitors", "healthmonitor", "health_monitor", key, values)


def _delete_monitor(random: Random, root: str, state: State) -> Wish | None:
    del root
    if not state["health_monitor"]:
        return None
    key = random.choice(list(state["health_monitor"]))
    return _delete("/healthmonitors", key, _without("health_monitor", key))


MAKERS: dict[Callable[[Random, str, State], Wish | None], float] = {
    _change_root: 2,
    _delete_root: 1,
    _make_listener: 3,
    _change_listener: 4,
    _delete_listener: 2,
    _make_pool: 4,
    _change_pool: 2,
    _delete_pool: 2,
    _make_member: 3,
    _change_member: 4,
    _delete_member: 2,
    _batch: 4,
    _make_monitor: 2,
    _change_monitor: 1,
    _delete_monitor: 1,
}
"""Kinds of wishes, and how often each is made."""
