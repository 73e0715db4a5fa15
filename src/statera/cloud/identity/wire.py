"""How requests are read and replies written: bodies, lists, the error envelope, the gate."""

from __future__ import annotations

import functools
import http
import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import falcon
import msgspec
import sqlalchemy as sa
from oslo_db import exception as db_errors

from statera.cloud.identity.throttle import TooManyRequests
from statera.cloud.identity.tokens import Tokens, Verdict
from statera.lb.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Retryable,
    Unauthorized,
    UserError,
)

LOG = logging.getLogger(__name__)
T = TypeVar("T")

_ENCODER = msgspec.json.Encoder()
_UNAUTHORIZED = "The request you have made requires authentication."


class TooLarge(UserError):
    """The body is larger than the settings allow."""

    status = 413


def read(req: falcon.Request, kind: Callable[..., T]) -> T:
    """Return the body as `kind`; raise `InvalidInput` that says what is wrong with it."""
    limit: int = req.context.max_body
    if (req.content_length or 0) > limit:
        raise TooLarge(f"The request body is larger than {limit} bytes.")
    media = (req.content_type or "application/json").partition(";")[0].strip().lower()
    if media != "application/json":
        raise InvalidInput("Expecting a body of type application/json.")
    raw = req.bounded_stream.read(limit + 1)
    try:
        return cast(T, _decoder(kind).decode(raw))
    except UnicodeDecodeError:
        raise InvalidInput("The request body is not valid UTF-8.") from None
    except RecursionError:
        raise InvalidInput("The request body is nested too deeply.") from None
    except ValueError as error:
        raise InvalidInput(f"Malformed request body: {error}.") from None


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    with _building:
        return _built(kind)


_building = threading.Lock()
"""Threads that make decoders of one type at the same moment crash msgspec."""


@functools.cache
def _built(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def reply(resp: falcon.Response, body: object, status: str = falcon.HTTP_200) -> None:
    """Answer with a JSON body."""
    resp.status = status
    resp.data = _ENCODER.encode(body)
    resp.content_type = "application/json"


def collection(
    req: falcon.Request, kind: str, rows: Iterable[dict[str, Any]], path: str | None = None
) -> dict[str, Any]:
    """Return a list reply with links; objects live under `/v3/{path}` (default: their kind)."""
    base = f"{req.prefix}/v3/{path or kind}"
    return {
        kind: [{**row, "links": {"self": f"{base}/{row['id']}"}} for row in rows],
        "links": {"next": None, "previous": None, "self": req.uri},
    }


def matching(req: falcon.Request, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows that equal every query parameter that names one of their attributes."""
    wanted = {name: req.get_param(name) for name in req.params}
    return [
        row
        for row in rows
        if all(_text(row[name]) == value for name, value in wanted.items() if name in row)
    ]


def filters(
    req: falcon.Request, table: sa.Table, names: Iterable[str]
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for those query parameters that name a column in `names`."""
    conditions = []
    for name in names:
        value = req.get_param(name)
        if value is not None:
            boolean = isinstance(table.c[name].type, sa.Boolean)
            conditions.append(table.c[name] == (flag(req, name) if boolean else value))
    return conditions


def flag(req: falcon.Request, name: str) -> bool:
    """Tell whether a query parameter is set: present, and not `0` or `false`."""
    value = req.get_param(name)
    return value is not None and value.lower() not in ("0", "false")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def caller(req: falcon.Request) -> Verdict:
    """Return who sent the request."""
    return cast(Verdict, req.context.verdict)


def require_admin(req: falcon.Request) -> Verdict:
    """Return the caller; raise `Forbidden` for all but administrators."""
    verdict = caller(req)
    if not verdict.is_admin:
        raise Forbidden("You are not authorized to perform the requested action.")
    return verdict


def require_self(req: falcon.Request, user_id: str) -> Verdict:
    """Return the caller; raise `Forbidden` unless it is this user or an administrator."""
    verdict = caller(req)
    return verdict if verdict.user_id == user_id else require_admin(req)


@contextmanager
def refusing(duplicate: str) -> Iterator[None]:
    """Turn what the database refuses into a user's error; `duplicate` says what is there twice."""
    try:
        yield
    except db_errors.DBDuplicateEntry:
        raise Conflict(duplicate) from None
    except db_errors.DBReferenceError:
        raise NotFound("An object that the request names does not exist any more.") from None


class Gate:
    """Middleware: names the request, refuses what no database accepts, and asks for a token.

    A resource is closed unless it says `open_to_all = True`.
    """

    def __init__(self, tokens: Tokens, max_body: int) -> None:
        self._tokens = tokens
        self._max_body = max_body

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set up the request."""
        resp.set_header("x-openstack-request-id", f"req-{uuid.uuid4()}")
        resp.set_header("Vary", "X-Auth-Token")
        req.context.max_body = self._max_body
        if "\0" in req.path:
            raise NotFound("Could not find the requested object.")
        if any("\0" in str(item) for pair in req.params.items() for item in pair):
            raise InvalidInput("A query parameter contains a NUL character.")

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, resource: object, _params: object
    ) -> None:
        """Authenticate."""
        if resource is None or getattr(resource, "open_to_all", False):
            return
        token = req.get_header("X-Auth-Token")
        if not token:
            raise Unauthorized(_UNAUTHORIZED)
        req.context.verdict = self._tokens.verify(token)


def install_errors(app: falcon.App[falcon.Request, falcon.Response]) -> None:
    """Answer every error in Keystone's envelope."""
    app.add_error_handler(Exception, _bug)
    app.add_error_handler(falcon.HTTPError, _http_error)
    app.add_error_handler(UserError, _user_error)
    app.add_error_handler(Retryable, _unavailable)
    app.add_error_handler(db_errors.DBConnectionError, _unavailable)


def _fail(resp: falcon.Response, status: int, message: str) -> None:
    title = http.HTTPStatus(status).phrase
    reply(resp, {"error": {"code": status, "title": title, "message": message}}, str(status))


def _user_error(
    req: falcon.Request, resp: falcon.Response, error: UserError, _params: object
) -> None:
    message = error.text
    if isinstance(error, Unauthorized):
        LOG.info("identity.refused source=%s reason=%r", req.remote_addr, message)
        message = _UNAUTHORIZED
        resp.set_header("WWW-Authenticate", f'Keystone uri="{req.prefix}/v3"')
    elif isinstance(error, TooManyRequests):
        LOG.warning("identity.throttled source=%s", req.remote_addr)
        resp.set_header("Retry-After", str(error.retry_after))
    _fail(resp, error.status, message)


def _http_error(
    _req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: object
) -> None:
    if error.headers:
        resp.set_headers(error.headers)
    _fail(resp, error.status_code, error.description or error.title or "")


def _unavailable(
    req: falcon.Request, resp: falcon.Response, _error: Exception, _params: object
) -> None:
    LOG.error("identity.database.unreachable path=%r", req.path)
    _fail(resp, 503, "The database cannot be reached at the moment.")


def _bug(req: falcon.Request, resp: falcon.Response, _error: Exception, _params: object) -> None:
    LOG.exception("identity.request.failed method=%s path=%r", req.method, req.path)
    _fail(resp, 500, "An unexpected error prevented the server from fulfilling your request.")
