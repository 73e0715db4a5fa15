"""Listeners (`spec/api-resources` §2)."""

from __future__ import annotations

from typing import Any

import falcon
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.api import misuse, policy
from statera.api.context import ApiContext
from statera.api.desk import (
    POOL_TITLE,
    Desk,
    hold_load_balancer,
    immutable,
    new_id,
    refuse_doomed_root,
    send,
)
from statera.api.requests import body, caller_of, refuse_arguments
from statera.lb import rules, rules_listener, rules_provider
from statera.lb.caller import Caller
from statera.lb.errors import NotFound
from statera.lb.listener import Listener
from statera.lb.protocols import port_space
from statera.lb.reading import Values
from statera.lb.statuses import OFFLINE
from statera.store.queries import LISTENERS, Row
from statera.store.queries_statistics import listener_statistics
from statera.store.tables.objects import additional_vip, listener, pool
from statera.store.writes import Held, begin, change, doom, insert

_PORTS = sa.select(listener.c.protocol, listener.c.protocol_port).where(
    listener.c.load_balancer_id == sa.bindparam("root"), listener.c.live == 1
)
_POOL = sa.select(pool.c.protocol, pool.c.live).where(
    pool.c.id == sa.bindparam("wanted"), pool.c.load_balancer_id == sa.bindparam("root")
)


def listeners_desk(context: ApiContext) -> Desk:
    """Return the desk of listeners."""
    aliases = {
        "loadbalancer_id": "load_balancer_id",
        "load_balancer_id": "load_balancer_id",
        "enabled": "admin_state_up",
    }
    return Desk(context, Listener, LISTENERS, "listener", aliases)


class ListenerCollection(misuse.Collection):
    """`/listeners`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = listeners_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List."""
        self._desk.list_all(req, resp)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create."""
        refuse_arguments(req)
        values = self._desk.reader.create(body(req, "listener_"))
        caller = caller_of(req)
        self._check_references(values, caller)
        row = self._context.write(lambda connection: self._create(connection, caller, values))
        self._desk.answer(resp, row, falcon.HTTP_201)

    def _check_references(self, values: Values, caller: Caller) -> None:
        references = rules_listener.references(values)
        if not references:
            return
        root = values["loadbalancer_id"]
        held = self._context.database.write(lambda connection: hold_load_balancer(connection, root))
        policy.enforce(caller, "listener:post", held.project_id)
        rules_listener.creation(values, self._context.deployment)
        self._context.refuse_unreadable(references, caller)

    def _create(self, connection: Connection, caller: Caller, values: Values) -> Row:
        held = hold_load_balancer(connection, values["loadbalancer_id"])
        policy.enforce(caller, "listener:post", held.project_id)
        if values["default_pool_id"] is not None:
            rules.listener_takes_pools(values["protocol"])
            refuse_pool(connection, held, values["protocol"], values["default_pool_id"])
        refuse_doomed_root(held)
        rules_listener.creation(values, self._context.deployment)
        rules_listener.port_free(values, _ports(connection, held))
        refuse_cidrs(connection, held, values)
        rules_provider.listener(held.provider, values)
        row = listener_row(values)
        insert(connection, begin(connection, held), listener, [row])
        return self._desk.full(connection, row["id"])


class ListenerItem(misuse.Item):
    """`/listeners/{id}`."""

    argument = "listener_"

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = listeners_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Show."""
        self._desk.show(req, resp, object_id)

    def on_put(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Update."""
        refuse_arguments(req)
        changes = self._desk.reader.update(body(req, "listener_"))
        caller = caller_of(req)
        self._check_references(changes, caller, object_id)
        row = self._context.write(
            lambda connection: self._update(connection, caller, object_id, changes)
        )
        self._desk.answer(resp, row)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Delete; its default pool stays."""
        refuse_arguments(req)

        def work(connection: Connection) -> None:
            held, _ = self._desk.hold_to_change(connection, caller_of(req), object_id, "delete")
            doom(connection, begin(connection, held), listener, "id", [object_id])

        self._context.write(work)
        resp.status = falcon.HTTP_204

    def _check_references(self, changes: Values, caller: Caller, object_id: str) -> None:
        references = rules_listener.references(changes)
        if not references:
            return
        row = self._context.database.read(lambda connection: self._desk.row(connection, object_id))
        policy.enforce(caller, "listener:put", row["project_id"])
        rules_listener.update(row, changes, self._context.deployment)
        self._context.refuse_unreadable(references, caller)

    def _update(
        self, connection: Connection, caller: Caller, object_id: str, changes: Values
    ) -> Row:
        held, row = self._desk.hold_to_change(connection, caller, object_id, "put")
        if changes.get("default_pool_id") is not None:
            rules.listener_takes_pools(row["protocol"])
            refuse_pool(connection, held, row["protocol"], changes["default_pool_id"])
        rules_listener.update(row, changes, self._context.deployment)
        refuse_cidrs(connection, held, changes)
        rules_provider.listener(held.provider, {**row, **changes})
        change(connection, begin(connection, held), listener, object_id, changes)
        return self._desk.full(connection, object_id)


class ListenerStatistics:
    """`/listeners/{id}/stats`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = listeners_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Show what the listener has carried."""

        def look(connection: Connection) -> dict[str, int]:
            row = self._desk.row(connection, object_id)
            policy.enforce(caller_of(req), "listener:get_stats", row["project_id"])
            return listener_statistics(connection, object_id)

        send(resp, {"stats": self._context.database.read(look)})


def listener_row(values: Values) -> dict[str, Any]:
    """Return the row of a new listener."""
    return {
        **values,
        "id": new_id(),
        "operating_status": OFFLINE,
        "port_space": port_space(values["protocol"]),
    }


def refuse_pool(connection: Connection, held: Held, protocol: str, pool_id: str) -> None:
    """Raise for a default pool of another load balancer, a misfit, or one being deleted."""
    found = connection.execute(_POOL, {"wanted": pool_id, "root": held.id}).first()
    if found is None:
        raise NotFound.resource(POOL_TITLE, pool_id)
    rules.listener_fits_pool(protocol, found.protocol)
    if found.live is None:
        raise immutable(POOL_TITLE, pool_id)


def refuse_cidrs(connection: Connection, held: Held, values: Values) -> None:
    """Raise `InvalidInput` for allowed networks that fit no address of the load balancer."""
    if not values.get("allowed_cidrs"):
        return
    mine = additional_vip.c.load_balancer_id == held.id
    statement = sa.select(additional_vip.c.ip_address).where(mine)
    vips = [held.vip_address, *connection.scalars(statement.order_by(additional_vip.c.position))]
    rules_listener.cidrs_fit(values, [vip for vip in vips if vip], held.vip_sg_ids)


def _ports(connection: Connection, held: Held) -> list[tuple[str, int]]:
    found = connection.execute(_PORTS, {"root": held.id})
    return [(protocol, port) for protocol, port in found]
