"""Which frontends and backends a document needs.

A pool is a backend of HAProxy, but `mode`, `timeout connect` and `timeout server` are properties of
a backend and come from the listeners.  So the rule: a pool becomes one backend per distinct
(mode, connect time-out, server time-out) among the enabled listeners that use it: normally one.
Its name is `<pool>.<mode>` for the group that holds the smallest listener id, and
`<pool>.<mode>.<smallest listener id of the group>` for any other: adding or removing listeners that
agree about the time-outs never renames a backend, so member states stay.  Session persistence by
source address or application cookie is held in one table per pool, whatever the number of backends.

The mode is `http` where either the listener or the pool speaks HTTP, else `tcp`: a TCP listener in
front of an HTTP pool is upgraded to HTTP, so that cookies and header checks of that pool work.
"""

from __future__ import annotations

from typing import NamedTuple

from statera.spec.document import AmphoraSpec, Listener, Pool

HTTP = "http"
TCP = "tcp"


class Backend(NamedTuple):
    """One backend: times are milliseconds."""

    name: str
    pool: Pool
    mode: str
    timeout_connect: int
    timeout_server: int


class Routes(NamedTuple):
    """What is bound, and where it leads: `targets` maps a listener's id to a backend's name."""

    listeners: tuple[Listener, ...]
    targets: dict[str, str]
    backends: tuple[Backend, ...]


def mode_of(listener: Listener, pool: Pool | None) -> str:
    """Return the mode in which `listener` talks to `pool`."""
    if listener.protocol == "HTTP" or (pool is not None and pool.protocol == "HTTP"):
        return HTTP
    return TCP


def routes(spec: AmphoraSpec) -> Routes:
    """Return the frontends and backends that `spec` needs: those of enabled objects only."""
    listeners = _bound(spec)
    pools = {pool.id: pool for pool in spec.pools if pool.enabled}
    names: dict[tuple[str, str, int, int], str] = {}
    seen: set[tuple[str, str]] = set()
    targets: dict[str, str] = {}
    backends: list[Backend] = []
    for listener in listeners:
        pool = pools.get(listener.default_pool_id or "")
        if pool is None:
            continue
        mode = mode_of(listener, pool)
        connect, server = listener.timeout_member_connect, listener.timeout_member_data
        key = (pool.id, mode, connect, server)
        name = names.get(key)
        if name is None:
            name = f"{pool.id}.{mode}"
            if (pool.id, mode) in seen:
                name = f"{name}.{listener.id}"
            seen.add((pool.id, mode))
            names[key] = name
            backends.append(Backend(name, pool, mode, connect, server))
        targets[listener.id] = name
    return Routes(listeners, targets, tuple(sorted(backends, key=lambda backend: backend.name)))


def _bound(spec: AmphoraSpec) -> tuple[Listener, ...]:
    """Return the listeners to bind, smallest id first."""
    if not spec.enabled:
        return ()
    enabled = [listener for listener in spec.listeners if listener.enabled]
    return tuple(sorted(enabled, key=lambda listener: listener.id))
