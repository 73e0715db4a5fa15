"""Members of a pool (`spec/api-resources` §4); the batch is in `member_batch`."""

from __future__ import annotations

import falcon
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.api import misuse, policy
from statera.api.context import ApiContext
from statera.api.desk import Desk, narrowed, refuse_doomed, send
from statera.api.member_batch import MemberBatch
from statera.api.member_rows import has_monitor, member_row
from statera.api.pool_path import (
    allowed_pool,
    hold_pool,
    pool_row,
    refuse_doomed_pool,
    stamp_pool,
)
from statera.api.requests import body, caller_of, flag, refuse_arguments
from statera.lb import rules_member
from statera.lb.caller import Caller
from statera.lb.member import Member
from statera.lb.reading import Values
from statera.lb.statuses import ERROR, NO_MONITOR, OFFLINE
from statera.store.queries import MEMBERS, Row
from statera.store.tables.objects import member
from statera.store.writes import Held, begin, change, doom, insert

_SAME = sa.select(member.c.id).where(
    member.c.pool_id == sa.bindparam("in_pool"),
    member.c.address == sa.bindparam("address"),
    member.c.protocol_port == sa.bindparam("port"),
    member.c.live == 1,
)


def members_desk(context: ApiContext) -> Desk:
    """Return the desk of members."""
    aliases = {"ip_address": "address", "enabled": "admin_state_up", "pool_id": "pool_id"}
    return Desk(context, Member, MEMBERS, "member", aliases)


class MemberCollection:
    """`/pools/{pool_id}/members`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = members_desk(context)
        self._batch = MemberBatch(context, self._desk)

    def on_get(self, req: falcon.Request, resp: falcon.Response, pool_id: str) -> None:
        """List."""
        allowed_pool(self._context, caller_of(req), pool_id, "member:get_all")
        self._desk.list_within(req, resp, {"pool_id": pool_id}, dict(req.params))

    def on_post(self, req: falcon.Request, resp: falcon.Response, pool_id: str) -> None:
        """Create."""
        refuse_arguments(req)
        values = self._desk.reader.create(body(req, "member_"))
        caller = caller_of(req)
        if values["subnet_id"] is not None:
            allowed_pool(self._context, caller, pool_id, "member:post")
            self._context.refuse_invisible_subnets([values["subnet_id"]], caller)
        row = self._context.write(
            lambda connection: self._create(connection, caller, pool_id, values)
        )
        self._desk.answer(resp, row, falcon.HTTP_201)

    def on_put(self, req: falcon.Request, resp: falcon.Response, pool_id: str) -> None:
        """Replace (or with `additive_only` add and change) many at once."""
        refuse_arguments(req, {"additive_only"})
        wanted = self._desk.reader.batch(body(req, "members_"))
        self._batch.apply(caller_of(req), pool_id, wanted, additive=flag(req, "additive_only"))
        resp.status = falcon.HTTP_202

    def on_delete(self, _req: falcon.Request, _resp: falcon.Response, pool_id: str) -> None:  # noqa: ARG002
        """Refuse: a DELETE needs an id."""
        raise misuse.missing_id()

    def _create(self, connection: Connection, caller: Caller, pool_id: str, values: Values) -> Row:
        held = hold_pool(connection, pool_id)
        policy.enforce(caller, "member:post", held.project_id)
        rules_member.creation(values, self._context.deployment)
        refuse_doomed_pool(connection, held, pool_id)
        _refuse_duplicate(connection, pool_id, values)
        status = OFFLINE if has_monitor(connection, pool_id) else NO_MONITOR
        wish = begin(connection, held)
        row = member_row(values, pool_id, status)
        insert(connection, wish, member, [row])
        stamp_pool(connection, wish, pool_id)
        return self._desk.full(connection, row["id"])


class MemberItem(misuse.Item):
    """`/pools/{pool_id}/members/{id}`."""

    argument = "member_"

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._desk = members_desk(context)

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, pool_id: str, object_id: str
    ) -> None:
        """Show."""

        def look(connection: Connection) -> Row:
            pool_row(self._context, connection, pool_id)
            row = self._in_pool(self._desk.full(connection, object_id), pool_id)
            policy.enforce(caller_of(req), "member:get_one", row["project_id"])
            return row

        row = self._context.database.read(look)
        send(resp, {self._desk.info.root: narrowed(req, self._desk.reply(row))})

    def on_put(
        self, req: falcon.Request, resp: falcon.Response, pool_id: str, object_id: str
    ) -> None:
        """Update."""
        refuse_arguments(req)
        changes = self._desk.reader.update(body(req, "member_"))

        def work(connection: Connection) -> Row:
            held, row = self._hold(connection, caller_of(req), pool_id, object_id, "put")
            refuse_doomed(self._desk.info.title, row)
            wish = begin(connection, held)
            change(connection, wish, member, object_id, changes)
            stamp_pool(connection, wish, pool_id)
            return self._desk.full(connection, object_id)

        self._desk.answer(resp, self._context.write(work))

    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, pool_id: str, object_id: str
    ) -> None:
        """Delete."""
        refuse_arguments(req)

        def work(connection: Connection) -> None:
            held, row = self._hold(connection, caller_of(req), pool_id, object_id, "delete")
            if row["provisioning_status"] != ERROR:
                refuse_doomed(self._desk.info.title, row)
            wish = begin(connection, held)
            doom(connection, wish, member, "id", [object_id])
            stamp_pool(connection, wish, pool_id)

        self._context.write(work)
        resp.status = falcon.HTTP_204

    def _hold(
        self, connection: Connection, caller: Caller, pool_id: str, object_id: str, verb: str
    ) -> tuple[Held, Row]:
        held = hold_pool(connection, pool_id)
        row = self._in_pool(self._desk.row(connection, object_id), pool_id)
        policy.enforce(caller, f"member:{verb}", row["project_id"])
        refuse_doomed_pool(connection, held, pool_id)
        return held, row

    def _in_pool(self, row: Row, pool_id: str) -> Row:
        if row["pool_id"] != pool_id:
            raise self._desk.missing(row["id"])
        return row


def _refuse_duplicate(connection: Connection, pool_id: str, values: Values) -> None:
    key = rules_member.key_of(values)
    same = {"in_pool": pool_id, "address": key[0], "port": key[1]}
    if connection.execute(_SAME, same).first() is not None:
        raise rules_member.duplicate(key)
