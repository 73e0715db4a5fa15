"""Errors as replies: the envelopes of `spec/api-behaviour` §4.1.

(a) what a resource refuses: `faultstring`; (b) what is refused before a resource is reached:
`description`; (c) no valid token; (d) the identity service cannot be asked; (e) the body is too
large.
"""

from __future__ import annotations

import logging
import math
from http import HTTPStatus

import falcon
import msgspec
from oslo_db import exception as db

from statera.api.context import ApiContext
from statera.api.requests import BodyTooLarge
from statera.lb.errors import Retryable, Unauthorized, UserError

LOG = logging.getLogger(__name__)

IDENTITY_SILENT = "The Keystone service is temporarily unavailable."
UNKNOWN = "Something unknown went wrong"


class IdentitySilent(Exception):
    """The identity service cannot be asked."""


def fault(resp: falcon.Response, status: int, text: str) -> None:
    """Answer with envelope (a)."""
    code = "Client" if status < 500 else "Server"
    resp.status = falcon.code_to_http_status(status)
    resp.data = msgspec.json.encode({"faultcode": code, "faultstring": text, "debuginfo": None})


def described(resp: falcon.Response, status: int, title: str, text: str | None) -> None:
    """Answer with envelope (b)."""
    resp.status = falcon.code_to_http_status(status)
    resp.data = msgspec.json.encode({"code": status, "title": title, "description": text})


def plain(resp: falcon.Response, status: int, text: str) -> None:
    """Answer with a plain text (d, e)."""
    resp.status = falcon.code_to_http_status(status)
    resp.content_type = "text/plain; charset=UTF-8"
    resp.data = text.encode()


class Faults:
    """The error handlers of the app."""

    def __init__(self, context: ApiContext) -> None:
        self._challenge = f'Keystone uri="{context.settings.www_authenticate_uri}"'

    def install(self, app: falcon.App[falcon.Request, falcon.Response]) -> None:
        """Make the app answer errors with the API's envelopes."""
        app.add_error_handler(Exception, self.unexpected)
        app.add_error_handler(falcon.HTTPError, self.routing)
        app.add_error_handler(UserError, self.user)
        app.add_error_handler(Unauthorized, self.unauthorized)
        app.add_error_handler(Retryable, self.retryable)
        app.add_error_handler(IdentitySilent, self.identity_silent)
        app.add_error_handler(BodyTooLarge, self.too_large)
        app.add_error_handler(db.DBDuplicateEntry, self.duplicate)
        app.add_error_handler(db.DBConnectionError, self.database_silent)

    def user(self, _req: object, resp: falcon.Response, error: UserError, _params: object) -> None:
        """Answer what the user can mend."""
        if error.routed:
            described(resp, error.status, HTTPStatus.BAD_REQUEST.phrase, error.text)
        else:
            fault(resp, error.status, error.text)

    def unauthorized(
        self, _req: object, resp: falcon.Response, _error: Unauthorized, _params: object
    ) -> None:
        """Ask for a token."""
        message = "The request you have made requires authentication."
        error = {"code": 401, "title": "Unauthorized", "message": message}
        resp.status = falcon.HTTP_401
        resp.set_header("WWW-Authenticate", self._challenge)
        resp.data = msgspec.json.encode({"error": error})

    def retryable(
        self, req: falcon.Request, resp: falcon.Response, error: Retryable, _params: object
    ) -> None:
        """Answer that something outside failed and may work in a moment."""
        LOG.warning("api.retryable path=%s error=%s", req.path, error)
        resp.set_header("Retry-After", str(math.ceil(error.delay or 1)))
        fault(resp, 503, str(error))

    def identity_silent(
        self, _req: object, resp: falcon.Response, _error: object, _params: object
    ) -> None:
        """Answer that nobody can say who is calling."""
        plain(resp, 503, IDENTITY_SILENT)

    def too_large(
        self, _req: object, resp: falcon.Response, _error: object, _params: object
    ) -> None:
        """Refuse a body that is too large."""
        plain(resp, 413, "Request is too large.")

    def duplicate(
        self, _req: object, resp: falcon.Response, _error: object, _params: object
    ) -> None:
        """Answer for a key that the database found taken."""
        fault(resp, 409, "Already an entity with that specified id.")

    def database_silent(
        self, req: falcon.Request, resp: falcon.Response, error: Exception, _params: object
    ) -> None:
        """Answer that the database cannot be reached."""
        LOG.error("api.database_silent path=%s error=%s", req.path, type(error).__name__)
        resp.set_header("Retry-After", "1")
        fault(resp, 503, "The database is unavailable.")

    def routing(
        self, req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: object
    ) -> None:
        """Answer what the framework refuses: unknown paths, methods, broken headers."""
        status = error.status_code
        for name, value in _pairs(error.headers):
            if name.lower() == "allow":
                value = ", ".join(sorted(set(value.split(", ")) - {"OPTIONS"}))  # noqa: PLW2901
            resp.set_header(name, value)
        text: str | None = error.description or ""
        if status in (404, 405):
            text = None if status == 404 and not req.path.startswith("/v2") else ""
        described(resp, status, HTTPStatus(status).phrase, text)

    def unexpected(
        self, req: falcon.Request, resp: falcon.Response, _error: Exception, _params: object
    ) -> None:
        """Answer for a bug of ours; the log has the rest."""
        LOG.exception("api.bug method=%s path=%s", req.method, req.path)
        fault(resp, 500, UNKNOWN)


def _pairs(headers: object) -> list[tuple[str, str]]:
    if isinstance(headers, dict):
        return list(headers.items())
    return list(headers) if isinstance(headers, list) else []
