"""The Network API v2.0 as a WSGI application: networks, subnets and ports.

It is mounted by others, so every address in a reply is built from where the request arrived.
"""

from __future__ import annotations

import urllib.parse
from typing import Any

import falcon
import msgspec
from sqlalchemy.engine import Connection

from statera.cloud.network import discovery, errors
from statera.cloud.network.access import check_reader, check_writer
from statera.cloud.network.attributes import Values
from statera.cloud.network.kind import Kind
from statera.cloud.network.listing import Query
from statera.cloud.network.networks import Networks
from statera.cloud.network.ports import Ports
from statera.cloud.network.replies import Replies, request_id
from statera.cloud.network.settings import NetworkSettings
from statera.cloud.network.subnets import Subnets
from statera.edges.identity.protocol import Identity
from statera.lb.caller import Caller
from statera.lb.errors import Bug
from statera.service.wake import DOCUMENTS, Wakes
from statera.store.database import Database

_OPEN = frozenset({"", "/", f"/{discovery.VERSION}"})
"""Paths that need no token: who wants to log in reads them first."""


def create_app(
    database: Database, identity: Identity, wakes: Wakes, settings: NetworkSettings
) -> falcon.App[Any, Any]:
    """Return the application; it may be served by several threads and processes at once."""
    app = falcon.App(middleware=[_Gate(identity)])
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    Replies(settings.www_authenticate_uri).install(app)
    base = f"/{discovery.VERSION}"
    app.add_route("/", _Versions())
    app.add_route(base, _Resources())
    app.add_route(f"{base}/extensions", _Extensions())
    app.add_route(f"{base}/extensions/{{alias}}", _Extension())
    for kind in (Networks(settings.mtu), Subnets(settings.project_ranges), Ports()):
        route = f"{base}/{kind.shape.plural}"
        app.add_route(route, _Collection(kind, database, wakes, settings))
        app.add_route(f"{route}/{{object_id}}", _Item(kind, database, wakes, settings))
    return app


class _Gate:
    """Lets in who has a token, and numbers the requests."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        if req.path not in _OPEN:
            headers = {name.lower(): value for name, value in req.headers.items()}
            req.context["caller"] = self._identity.authenticate(headers)

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool
    ) -> None:
        resp.set_header("x-openstack-request-id", request_id(req))


class _Versions:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _reply(resp, discovery.versions(req.prefix))


class _Resources:
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        _reply(resp, discovery.resources(req.prefix))


class _Extensions:
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        _reply(resp, {"extensions": discovery.extensions()})


class _Extension:
    def on_get(self, _req: falcon.Request, resp: falcon.Response, alias: str) -> None:
        _reply(resp, {"extension": discovery.extension(alias)})


class _Served:
    """What serves one resource."""

    def __init__(
        self, kind: Kind, database: Database, wakes: Wakes, settings: NetworkSettings
    ) -> None:
        self._kind = kind
        self._database = database
        self._wakes = wakes
        self._settings = settings

    def _reader(self, req: falcon.Request) -> Caller:
        caller = _caller(req)
        check_reader(caller, f"rule:get_{self._kind.shape.singular}")
        return caller

    def _writer(self, req: falcon.Request, action: str) -> Caller:
        caller = _caller(req)
        check_writer(caller, f"rule:{action}_{self._kind.shape.singular}")
        return caller

    def _wake(self) -> None:
        if self._kind.publishes:
            self._wakes.send(DOCUMENTS)

    def _body(self, req: falcon.Request) -> Any:
        most = self._settings.max_body_bytes
        if (req.content_length or 0) > most:
            raise falcon.HTTPContentTooLarge(description=f"The body exceeds {most} bytes.")
        # Bodies in chunks have no length; their end is the server's to find.
        chunked = "chunked" in (req.get_header("Transfer-Encoding") or "").lower()
        raw = (req.stream if chunked else req.bounded_stream).read(most + 1)
        if len(raw) > most:
            raise falcon.HTTPContentTooLarge(description=f"The body exceeds {most} bytes.")
        try:
            return msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise errors.HTTPBadRequest(f"The request body is no valid JSON: {error}") from None


class _Collection(_Served):
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        caller = self._reader(req)
        query = _query(req)
        most = self._settings.page_size
        found, more = self._database.read(lambda c: self._kind.listed(c, caller, query, most))
        plural = self._kind.shape.plural
        body: Values = {plural: [_fields(item, query) for item in found]}
        if more:
            href = _next(req, found[-1]["id"], query.limit(most))
            body[f"{plural}_links"] = [{"rel": "next", "href": href}]
        _reply(resp, body)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        caller = self._writer(req, "create")
        body = self._body(req)
        kind = self._kind
        wanted = kind.shape.created(body, caller)

        def work(connection: Connection) -> list[Values]:
            ids = [kind.create(connection, caller, dict(values)) for values in wanted]
            # The creator sees what it made, even an admin that made it for another project.
            return [kind.show(connection, caller, object_id) for object_id in ids]

        made = self._database.write(work)
        self._wake()
        bulk = kind.shape.plural in body
        _reply(resp, {kind.shape.plural: made} if bulk else {kind.shape.singular: made[0]}, 201)


class _Item(_Served):
    def on_get(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        caller = self._reader(req)
        query = _query(req)
        found = self._database.read(lambda c: self._kind.show(c, caller, object_id))
        _reply(resp, {self._kind.shape.singular: _fields(found, query)})

    def on_put(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        caller = self._writer(req, "update")
        values = self._kind.shape.updated(self._body(req), caller)

        def work(connection: Connection) -> Values:
            self._kind.update(connection, caller, object_id, values)
            return self._kind.show(connection, caller, object_id)

        changed = self._database.write(work)
        self._wake()
        _reply(resp, {self._kind.shape.singular: changed})

    def on_delete(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        caller = self._writer(req, "delete")
        self._database.write(lambda c: self._kind.delete(c, caller, object_id))
        self._wake()
        resp.status = 204


def _caller(req: falcon.Request) -> Caller:
    caller = req.context["caller"]
    if not isinstance(caller, Caller):
        raise Bug("a request reached a resource without a caller")
    return caller


def _reply(resp: falcon.Response, body: Any, status: int = 200) -> None:
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = msgspec.json.encode(body)


def _query(req: falcon.Request) -> Query:
    return Query(urllib.parse.parse_qs(req.query_string, keep_blank_values=True))


def _fields(item: Values, query: Query) -> Values:
    return {k: v for k, v in item.items() if k in query.fields} if query.fields else item


def _next(req: falcon.Request, last_id: str, limit: int) -> str:
    kept = [
        (name, value)
        for name, value in urllib.parse.parse_qsl(req.query_string, keep_blank_values=True)
        if name not in {"marker", "limit"}
    ]
    query = urllib.parse.urlencode([*kept, ("limit", limit), ("marker", last_id)])
    return f"{req.prefix}{req.path}?{query}"
