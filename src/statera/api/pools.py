"""Pools (`spec/api-resources` §3)."""

from __future__ import annotations

from typing import Any

import falcon
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.api import misuse, policy
from statera.api.context import ApiContext
from statera.api.desk import (
    Desk,
    hold_load_balancer,
    immutable,
    new_id,
    refuse_doomed_root,
)
from statera.api.requests import body, caller_of, refuse_arguments
from statera.lb import rules, rules_pool, rules_provider
from statera.lb.caller import Caller
from statera.lb.errors import InvalidInput, NotFound
from statera.lb.pool import Pool
from statera.lb.reading import Values
from statera.lb.statuses import OFFLINE
from statera.store.queries import POOLS, Row
from statera.store.tables.objects import health_monitor, listener, member, pool
from statera.store.writes import (
    Held,
    begin,
    change,
    detach_pool,
    doom,
    insert,
    parent,
    stamp_pool_users,
)

LISTENER_TITLE = "Listener"


def pools_desk(context: ApiContext) -> Desk:
    """Return the desk of pools."""
    aliases = {
        "loadbalancer_id": "load_balancer_id",
        "load_balancer_id": "load_balancer_id",
        "enabled": "admin_state_up",
    }
    return Desk(context, Pool, POOLS, "pool", aliases)


class PoolCollection(misuse.Collection):
    """`/pools`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = pools_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List."""
        self._desk.list_all(req, resp)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create."""
        refuse_arguments(req)
        values = self._desk.reader.create(body(req, "pool_"))
        if values["loadbalancer_id"] is None and values["listener_id"] is None:
            raise InvalidInput.rule("Must provide at least one of: loadbalancer_id, listener_id")
        caller = caller_of(req)
        self._check_references(values, caller)
        row = self._context.write(lambda connection: self._create(connection, caller, values))
        self._desk.answer(resp, row, falcon.HTTP_201)

    def _check_references(self, values: Values, caller: Caller) -> None:
        references = rules_pool.references(values)
        if references:
            held = self._context.database.write(lambda connection: _hold(connection, values))
            policy.enforce(caller, "pool:post", held.project_id)
            rules_pool.creation(values, self._context.deployment)
            self._context.refuse_unreadable(references, caller)

    def _create(self, connection: Connection, caller: Caller, values: Values) -> Row:
        held = _hold(connection, values)
        policy.enforce(caller, "pool:post", held.project_id)
        if values["listener_id"] is not None:
            _refuse_listener(connection, held, values)
        refuse_doomed_root(held)
        rules_pool.creation(values, self._context.deployment)
        rules_provider.pool(held.provider, values)
        wish = begin(connection, held)
        row = pool_row(values)
        insert(connection, wish, pool, [row])
        if values["listener_id"] is not None:
            change(
                connection, wish, listener, values["listener_id"], {"default_pool_id": row["id"]}
            )
        return self._desk.full(connection, row["id"])


class PoolItem(misuse.Item):
    """`/pools/{id}`."""

    argument = "pool_"

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = pools_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response, pool_id: str) -> None:
        """Show."""
        self._desk.show(req, resp, pool_id)

    def on_put(self, req: falcon.Request, resp: falcon.Response, pool_id: str) -> None:
        """Update."""
        refuse_arguments(req)
        changes = self._desk.reader.update(body(req, "pool_"))
        caller = caller_of(req)
        self._check_references(changes, caller, pool_id)
        row = self._context.write(
            lambda connection: self._update(connection, caller, pool_id, changes)
        )
        self._desk.answer(resp, row)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, pool_id: str) -> None:
        """Delete with members and monitor; listeners lose their default pool."""
        refuse_arguments(req)

        def work(connection: Connection) -> None:
            held, _ = self._desk.hold_to_change(connection, caller_of(req), pool_id, "delete")
            wish = begin(connection, held)
            doom(connection, wish, pool, "id", [pool_id])
            for child in (member, health_monitor):
                doom(connection, wish, child, "pool_id", [pool_id])
            detach_pool(connection, wish, pool_id)

        self._context.write(work)
        resp.status = falcon.HTTP_204

    def _check_references(self, changes: Values, caller: Caller, pool_id: str) -> None:
        references = rules_pool.references(changes)
        if references:
            row = self._context.database.read(
                lambda connection: self._desk.row(connection, pool_id)
            )
            policy.enforce(caller, "pool:put", row["project_id"])
            rules_pool.update(row, _merged(row, changes), self._context.deployment)
            self._context.refuse_unreadable(references, caller)

    def _update(self, connection: Connection, caller: Caller, pool_id: str, changes: Values) -> Row:
        held, row = self._desk.hold_to_change(connection, caller, pool_id, "put")
        merged = _merged(row, changes)
        rules_pool.update(row, merged, self._context.deployment)
        rules_provider.pool(held.provider, {**row, **merged})
        wish = begin(connection, held)
        change(connection, wish, pool, pool_id, merged)
        stamp_pool_users(connection, wish, pool_id)
        return self._desk.full(connection, pool_id)


def pool_row(values: Values) -> dict[str, Any]:
    """Return the row of a new pool."""
    return {**values, "id": new_id(), "operating_status": OFFLINE}


def _merged(row: Row, changes: Values) -> Values:
    """Return the changes with the session persistence that they lead to."""
    given = changes.get("session_persistence")
    if given is None:
        return changes
    merged = Values(changes, changes.given)
    old = row["session_persistence"]
    merged["session_persistence"] = rules_pool.merged_persistence(old, given, given.given)
    return merged


def _hold(connection: Connection, values: Values) -> Held:
    """Lock the load balancer that a new pool names, itself or by its listener."""
    if values["loadbalancer_id"] is not None:
        return hold_load_balancer(connection, values["loadbalancer_id"])
    root = parent(connection, listener, values["listener_id"])
    if root is None:
        raise NotFound.resource(LISTENER_TITLE, values["listener_id"])
    return hold_load_balancer(connection, root)


def _refuse_listener(connection: Connection, held: Held, values: Values) -> None:
    """Raise for a listener that the new pool cannot become the default pool of."""
    c = listener.c
    mine = sa.and_(c.id == values["listener_id"], c.load_balancer_id == held.id)
    found = connection.execute(sa.select(c.protocol, c.default_pool_id, c.live).where(mine)).first()
    if found is None:
        raise NotFound.resource(LISTENER_TITLE, values["listener_id"])
    rules.listener_takes_pools(found.protocol)
    rules.listener_fits_pool(found.protocol, values["protocol"])
    rules_pool.default_pool_free(found.default_pool_id)
    if found.live is None:
        raise immutable(LISTENER_TITLE, values["listener_id"])
