"""Health monitors (`spec/api-resources` §5)."""

from __future__ import annotations

from typing import Any

import falcon
from sqlalchemy.engine import Connection

from statera.api import misuse, policy
from statera.api.context import ApiContext
from statera.api.desk import Desk, new_id
from statera.api.member_rows import has_monitor
from statera.api.pool_path import hold_pool, pool_row, refuse_doomed_pool, stamp_pool
from statera.api.requests import body, caller_of, refuse_arguments
from statera.lb import rules_monitor
from statera.lb.caller import Caller
from statera.lb.errors import Conflict
from statera.lb.health_monitor import HealthMonitor
from statera.lb.reading import Values
from statera.lb.statuses import OFFLINE
from statera.store.queries import HEALTH_MONITORS, Row
from statera.store.tables.objects import health_monitor
from statera.store.writes import begin, change, doom, insert


def health_monitors_desk(context: ApiContext) -> Desk:
    """Return the desk of health monitors."""
    aliases = {
        "enabled": "admin_state_up",
        "pool_id": "pool_id",
        "rise_threshold": "max_retries",
        "fall_threshold": "max_retries_down",
    }
    return Desk(context, HealthMonitor, HEALTH_MONITORS, "healthmonitor", aliases)


class HealthMonitorCollection(misuse.Collection):
    """`/healthmonitors`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = health_monitors_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List."""
        self._desk.list_all(req, resp)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create."""
        refuse_arguments(req)
        values = self._desk.reader.create(body(req, "health_monitor_"))
        caller = caller_of(req)
        row = self._context.write(lambda connection: self._create(connection, caller, values))
        self._desk.answer(resp, row, falcon.HTTP_201)

    def _create(self, connection: Connection, caller: Caller, values: Values) -> Row:
        pool_id = values["pool_id"]
        held = hold_pool(connection, pool_id, routed=False)
        policy.enforce(caller, "healthmonitor:post", held.project_id)
        protocol = pool_row(self._context, connection, pool_id, routed=False)["protocol"]
        rules_monitor.creation(values, protocol, self._context.deployment)
        refuse_doomed_pool(connection, held, pool_id)
        if has_monitor(connection, pool_id):
            raise Conflict("This pool already has a health monitor")
        wish = begin(connection, held)
        row = health_monitor_row(values, pool_id)
        insert(connection, wish, health_monitor, [row])
        stamp_pool(connection, wish, pool_id)
        return self._desk.full(connection, row["id"])


class HealthMonitorItem(misuse.Item):
    """`/healthmonitors/{id}`."""

    argument = "health_monitor_"

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = health_monitors_desk(context)

    def on_get(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Show."""
        self._desk.show(req, resp, object_id)

    def on_put(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Update."""
        refuse_arguments(req)
        changes = self._desk.reader.update(body(req, "health_monitor_"))

        def work(connection: Connection) -> Row:
            held, row = self._desk.hold_to_change(connection, caller_of(req), object_id, "put")
            rules_monitor.update(row, changes, self._context.deployment)
            merged = Values(changes, changes.given)
            rules_monitor.with_defaults(row["type"], merged)
            wish = begin(connection, held)
            change(connection, wish, health_monitor, object_id, merged)
            stamp_pool(connection, wish, row["pool_id"])
            return self._desk.full(connection, object_id)

        self._desk.answer(resp, self._context.write(work))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Delete."""
        refuse_arguments(req)

        def work(connection: Connection) -> None:
            held, row = self._desk.hold_to_change(connection, caller_of(req), object_id, "delete")
            wish = begin(connection, held)
            doom(connection, wish, health_monitor, "id", [object_id])
            stamp_pool(connection, wish, row["pool_id"])

        self._context.write(work)
        resp.status = falcon.HTTP_204


def health_monitor_row(values: Values, pool_id: str) -> dict[str, Any]:
    """Return the row of a new health monitor."""
    row: dict[str, Any] = {
        **values,
        "id": new_id(),
        "pool_id": pool_id,
        "operating_status": OFFLINE,
    }
    rules_monitor.with_defaults(row["type"], row)
    return row
