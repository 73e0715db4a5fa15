"""Load balancers (`spec/api-resources` §1); creation is in `load_balancer_creation`."""

from __future__ import annotations

import falcon
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.api import misuse, policy
from statera.api.context import ApiContext
from statera.api.desk import Desk, hold_load_balancer, send
from statera.api.load_balancer_creation import Creation, refuse_vip_options
from statera.api.requests import body, caller_of, flag, refuse_arguments
from statera.api.status_tree import status_tree
from statera.lb import rules_provider
from statera.lb.caller import Caller
from statera.lb.errors import Conflict, InvalidInput
from statera.lb.load_balancer import LoadBalancer
from statera.lb.statuses import ERROR
from statera.store.queries import LOAD_BALANCERS, Row
from statera.store.queries_statistics import load_balancer_statistics
from statera.store.tables.objects import listener, load_balancer, pool
from statera.store.writes import Held, begin, change, doom


def load_balancers_desk(context: ApiContext) -> Desk:
    """Return the desk of load balancers."""
    aliases = {"enabled": "admin_state_up", "topology": "topology"}
    return Desk(context, LoadBalancer, LOAD_BALANCERS, "loadbalancer", aliases)


class LoadBalancerCollection(misuse.Collection):
    """`/loadbalancers`."""

    def __init__(self, context: ApiContext) -> None:
        self._desk = load_balancers_desk(context)
        self._creation = Creation(context, self._desk)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List."""
        self._desk.list_all(req, resp)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create, alone or with a whole tree."""
        refuse_arguments(req)
        values = self._desk.reader.create(body(req, self._desk.info.argument))
        reply = self._creation.create(caller_of(req), values)
        send(resp, {self._desk.info.root: reply}, falcon.HTTP_201)


class LoadBalancerItem(misuse.Item):
    """`/loadbalancers/{id}`."""

    argument = "load_balancer"

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = load_balancers_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Show."""
        self._desk.show(req, resp, object_id)

    def on_put(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Update."""
        refuse_arguments(req)
        changes = self._desk.reader.update(body(req, self._desk.info.argument))

        def work(connection: Connection) -> Row:
            held = self._hold(connection, caller_of(req), object_id, "put")
            if "vip_sg_ids" in changes.given:
                policy.enforce(caller_of(req), "loadbalancer:put:vip_sg_ids", held.project_id)
            refuse_vip_options(changes)
            self._refuse_doomed(held)
            change(connection, begin(connection, held), load_balancer, object_id, changes)
            return self._desk.full(connection, object_id)

        self._desk.answer(resp, self._context.write(work))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Delete, with `cascade` everything under it too."""
        refuse_arguments(req, {"cascade"})
        cascade = flag(req, "cascade")

        def work(connection: Connection) -> None:
            held = self._hold(connection, caller_of(req), object_id, "delete")
            if not held.doomed or held.status(self._context.ceiling) != ERROR:
                if not cascade and _has_children(connection, object_id):
                    raise InvalidInput.rule(
                        f"Cannot delete Load Balancer {object_id} - it has children"
                    )
                self._refuse_doomed(held)
            wish = begin(connection, held)
            doom(connection, wish, load_balancer, "id", [object_id])

        self._context.write(work)
        resp.status = falcon.HTTP_204

    def _hold(self, connection: Connection, caller: Caller, object_id: str, verb: str) -> Held:
        held = hold_load_balancer(connection, object_id)
        policy.enforce(caller, f"loadbalancer:{verb}", held.project_id)
        return held

    def _refuse_doomed(self, held: Held) -> None:
        if held.doomed:
            status = held.status(self._context.ceiling)
            raise Conflict(f"Invalid state {status} of loadbalancer resource {held.id}")


class LoadBalancerStatistics:
    """`/loadbalancers/{id}/stats`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = load_balancers_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Show what the load balancer has carried."""

        def look(connection: Connection) -> dict[str, int]:
            row = self._desk.row(connection, object_id)
            policy.enforce(caller_of(req), "loadbalancer:get_stats", row["project_id"])
            return load_balancer_statistics(connection, object_id)

        send(resp, {"stats": self._context.database.read(look)})


class LoadBalancerStatusTree:
    """`/loadbalancers/{id}/status`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = load_balancers_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Show the statuses of the whole tree."""

        def look(connection: Connection) -> dict[str, object]:
            row = self._desk.row(connection, object_id)
            policy.enforce(caller_of(req), "loadbalancer:get_status", row["project_id"])
            return status_tree(connection, row, self._context.ceiling)

        send(resp, {"statuses": {"loadbalancer": self._context.database.read(look)}})


class LoadBalancerFailover:
    """`/loadbalancers/{id}/failover`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = load_balancers_desk(context)

    def on_put(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:  # noqa: ARG002
        """Refuse: the data plane has no standby to fail over to."""
        refuse_arguments(req)
        row = self._context.database.read(lambda connection: self._desk.row(connection, object_id))
        policy.enforce(caller_of(req), "loadbalancer:put_failover", row["project_id"])
        raise rules_provider.unsupported_action(
            row["provider"], "Load balancer failover is not supported."
        )


def _has_children(connection: Connection, load_balancer_id: str) -> bool:
    children = (
        sa.select(table.c.id).where(table.c.load_balancer_id == load_balancer_id, table.c.live == 1)
        for table in (listener, pool)
    )
    return connection.execute(sa.union_all(*children).limit(1)).first() is not None
