"""What every resource of the API does alike: show, list, hold the root, refuse the doomed, answer.

A `Desk` is one resource: its declaration, how it is read, what its policies are called.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import falcon
import msgspec
from sqlalchemy.engine import Connection

from statera.api import paging, policy
from statera.api.context import ApiContext
from statera.api.requests import caller_of
from statera.lb.caller import Caller
from statera.lb.declare import Info, reply_of
from statera.lb.errors import Conflict, InvalidInput, NotFound
from statera.lb.reading import Reader
from statera.lb.statuses import ERROR
from statera.store.queries import Row, Source
from statera.store.queries_pages import UNKNOWN_FILTER, Listing
from statera.store.writes import Held, hold, parent

ROOT_TITLE = "Load Balancer"
POOL_TITLE = "Pool"

_encode = msgspec.json.Encoder().encode


def new_id() -> str:
    """Return a new object id."""
    return str(uuid.uuid4())


def send(resp: falcon.Response, body: object, status: str = falcon.HTTP_200) -> None:
    """Answer with a JSON body."""
    resp.status = status
    resp.data = _encode(body)


def narrowed(req: falcon.Request, reply: dict[str, Any]) -> dict[str, Any]:
    """Return the reply reduced to the keys that the request asked for."""
    fields = paging.fields_of(req.params)
    return reply if fields is None else {n: v for n, v in reply.items() if n in fields}


@dataclass(frozen=True)
class Desk:
    """One resource.  `rule` is the first part of its policy names."""

    context: ApiContext
    declared: type[Any]
    source: Source
    rule: str
    aliases: Mapping[str, str]

    @cached_property
    def info(self) -> Info:
        """Names of the resource."""
        info: Info = self.declared.info
        return info

    @cached_property
    def reader(self) -> Reader:
        """Reads its bodies."""
        return Reader(self.declared, self.info, self.context.settings.defaults())

    @cached_property
    def listing(self) -> Listing:
        """Its lists."""
        return Listing(self.source, self.declared, self.aliases, self.context.ceiling)

    def reply(self, row: Row) -> dict[str, Any]:
        """Return the object that shows a full row."""
        return reply_of(self.declared, row)

    def answer(self, resp: falcon.Response, row: Row, status: str = falcon.HTTP_200) -> None:
        """Answer with one object."""
        send(resp, {self.info.root: self.reply(row)}, status)

    def missing(self, object_id: str) -> NotFound:
        """Return the error for an id that there is no object of."""
        return NotFound.resource(self.info.title, object_id)

    def row(self, connection: Connection, object_id: str) -> Row:
        """Return the row of an id; raise `NotFound`."""
        row = self.source.row(connection, object_id, self.context.ceiling)
        if row is None:
            raise self.missing(object_id)
        return row

    def full(self, connection: Connection, object_id: str) -> Row:
        """Return the full row of an id; raise `NotFound`."""
        row = self.row(connection, object_id)
        self.source.complete(connection, [row])
        return row

    def show(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Answer a GET of one object."""
        row = self.context.database.read(lambda connection: self.full(connection, object_id))
        policy.enforce(caller_of(req), f"{self.rule}:get_one", row["project_id"])
        send(resp, {self.info.root: narrowed(req, self.reply(row))})

    def list_all(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer a GET of the collection, restricted to what the caller may see."""
        params = dict(req.params)
        wanted = params.pop("project_id", None)
        if isinstance(wanted, list):
            raise InvalidInput(UNKNOWN_FILTER)
        project = policy.listed_project(caller_of(req), self.rule, wanted)
        self.list_within(req, resp, {} if project is None else {"project_id": project}, params)

    def list_within(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        scope: Mapping[str, str],
        params: paging.Params,
    ) -> None:
        """Answer a GET of the collection within a scope (column -> value)."""
        settings = self.context.settings
        query = paging.query_of(params, scope, settings)
        rows = self.context.database.read(lambda connection: self.listing.page(connection, query))
        fields = paging.fields_of(params)
        replies = [self.reply(row) for row in rows]
        if fields is not None:
            replies = [{n: v for n, v in reply.items() if n in fields} for reply in replies]
        links = paging.links(req, settings, query, [row["id"] for row in rows])
        send(resp, {self.info.plural: replies, f"{self.info.plural}_links": links})

    def hold_root(self, connection: Connection, object_id: str) -> Held:
        """Lock the load balancer of one of these objects; raise `NotFound`."""
        root = parent(connection, self.source.table, object_id)
        held = None if root is None else hold(connection, root)
        if held is None:
            raise self.missing(object_id)
        return held

    def hold_to_change(
        self, connection: Connection, caller: Caller, object_id: str, verb: str
    ) -> tuple[Held, Row]:
        """Lock the load balancer of an object and return both; `verb` names the policy.

        Raise `NotFound`, `Forbidden`, or `Conflict` for what is being deleted.
        """
        held = self.hold_root(connection, object_id)
        row = self.full(connection, object_id)
        policy.enforce(caller, f"{self.rule}:{verb}", row["project_id"])
        refuse_doomed_root(held)
        if verb != "delete" or row["provisioning_status"] != ERROR:
            refuse_doomed(self.info.title, row)
        return held, row


def hold_load_balancer(connection: Connection, load_balancer_id: str) -> Held:
    """Lock a load balancer; raise `NotFound`."""
    held = hold(connection, load_balancer_id)
    if held is None:
        raise NotFound.resource(ROOT_TITLE, load_balancer_id)
    return held


def immutable(title: str, object_id: str) -> Conflict:
    """Return the error for a write on something that is being deleted."""
    return Conflict(f"{title} {object_id} is immutable and cannot be updated.")


def refuse_doomed_root(held: Held) -> None:
    """Raise `Conflict` for a child of a load balancer that is being deleted."""
    if held.doomed:
        raise immutable(ROOT_TITLE, held.id)


def refuse_doomed(title: str, row: Row) -> None:
    """Raise `Conflict` for an object that is being deleted."""
    if row["live"] is None:
        raise immutable(title, row["id"])
