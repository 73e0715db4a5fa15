"""What the API has accepted, as the database holds it: plain values, read without being noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

FIELDS = {
    "load_balancer": ("name", "admin_state_up"),
    "listener": (
        "name",
        "admin_state_up",
        "protocol_port",
        "default_pool_id",
        "connection_limit",
        "timeout_client_data",
    ),
    "pool": ("name", "admin_state_up", "lb_algorithm"),
    "member": ("pool_id", "address", "protocol_port", "weight", "admin_state_up", "subnet_id"),
    "health_monitor": ("pool_id", "delay", "admin_state_up"),
}
"""What is compared of each object."""

KINDS = tuple(FIELDS)
State = dict[str, dict[str, dict[str, Any]]]
"""kind -> id -> field -> value, of one load balancer; living objects only."""


def _statement(kind: str) -> str:
    owner = "id" if kind == "load_balancer" else "load_balancer_id"
    names = ", ".join(("id", *FIELDS[kind]))
    return f"SELECT {names} FROM {kind} WHERE {owner} = ? AND live = 1"


_STATEMENTS = {kind: _statement(kind) for kind in KINDS}


def read(eye: sqlite3.Connection, load_balancer_id: str) -> State | None:
    """Return the state of a living load balancer, None if it is none."""
    state: State = {}
    eye.execute("BEGIN")
    try:
        for kind, statement in _STATEMENTS.items():
            state[kind] = {
                row[0]: dict(zip(FIELDS[kind], row[1:], strict=True))
                for row in eye.execute(statement, (load_balancer_id,))
            }
    finally:
        eye.execute("COMMIT")
    for objects in state.values():
        for fields in objects.values():
            fields["admin_state_up"] = bool(fields.get("admin_state_up"))
    return state if state["load_balancer"] else None


def copy(state: State) -> State:
    """Return a state that can be changed."""
    return {
        kind: {key: dict(fields) for key, fields in objects.items()}
        for kind, objects in state.items()
    }


def fresh(number: int = 0) -> str:
    """Return what stands for the id of an object whose real id is not known."""
    return f"new-{number}"


def resolved(state: State, seen: State) -> State:
    """Return `state` with the ids that the database gave to new objects, where they can be told."""
    names = dict(_names(state, seen))
    return {
        kind: {
            names.get(key, key): {name: names.get(value, value) if isinstance(value, str) else value
                                  for name, value in fields.items()}
            for key, fields in objects.items()
        }
        for kind, objects in state.items()
    }  # fmt: skip


def _names(state: State, seen: State) -> Iterator[tuple[str, str]]:
    for kind, objects in state.items():
        extra = [key for key in seen[kind] if key not in objects]
        for key, fields in objects.items():
            if key.startswith("new-"):
                found = next((each for each in extra if seen[kind][each] == fields), None)
                if found is not None:
                    extra.remove(found)
                    yield key, found
