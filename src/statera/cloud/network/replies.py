"""How errors and request ids get into replies of the Network API."""

from __future__ import annotations

import logging
import uuid
from http import HTTPStatus
from typing import Any

import falcon
import msgspec

from statera.lb.errors import Retryable, Unauthorized, UserError

LOG = logging.getLogger(__name__)

_NAMES = {
    400: "HTTPBadRequest",
    403: "PolicyNotAuthorized",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    409: "Conflict",
    413: "HTTPRequestEntityTooLarge",
}


class Replies:
    """Error handlers of one application; `www_authenticate_uri` is sent with every 401."""

    def __init__(self, www_authenticate_uri: str) -> None:
        self._challenge = (
            f'Keystone uri="{www_authenticate_uri}"' if www_authenticate_uri else "Keystone"
        )

    def install(self, app: falcon.App[Any, Any]) -> None:
        """Make the application answer every error in the Network API's form."""
        app.add_error_handler(Exception, self._unexpected)
        app.add_error_handler(falcon.HTTPError, self._routed)
        app.add_error_handler(Retryable, self._retryable)
        app.add_error_handler(UserError, self._user)
        app.add_error_handler(Unauthorized, self._unauthorized)

    def _user(
        self, _req: falcon.Request, resp: falcon.Response, error: UserError, _params: Any
    ) -> None:
        name = type(error).__name__
        if type(error).__module__ == UserError.__module__:
            name = _NAMES.get(error.status, name)
        _refuse(resp, error.status, name, error.text)

    def _unauthorized(
        self, _req: falcon.Request, resp: falcon.Response, _error: Exception, _params: Any
    ) -> None:
        resp.status = 401
        resp.set_header("WWW-Authenticate", self._challenge)
        body = {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
        resp.content_type = falcon.MEDIA_JSON
        resp.data = msgspec.json.encode({"error": body})

    def _retryable(
        self, req: falcon.Request, resp: falcon.Response, error: Retryable, _params: Any
    ) -> None:
        LOG.warning("network.unavailable request=%s reason=%s", request_id(req), error)
        resp.status = 503
        resp.content_type = "text/plain"
        resp.text = "The service is temporarily unavailable."

    def _routed(
        self, _req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: Any
    ) -> None:
        code = error.status_code
        if error.headers:
            resp.set_headers(error.headers)
        text = error.description or error.title or HTTPStatus(code).phrase
        if code == 404:
            text = "The resource could not be found."
        _refuse(resp, code, _NAMES.get(code, "HTTPError"), text)

    def _unexpected(
        self, req: falcon.Request, resp: falcon.Response, error: Exception, _params: Any
    ) -> None:
        LOG.error("network.failed request=%s", request_id(req), exc_info=error)
        text = f"Request Failed: internal server error while processing {request_id(req)}."
        _refuse(resp, 500, "HTTPInternalServerError", text)


def _refuse(resp: falcon.Response, status: int, name: str, text: str) -> None:
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    body = {"type": name, "message": text, "detail": ""}
    resp.data = msgspec.json.encode({"NeutronError": body})


def request_id(req: falcon.Request) -> str:
    """Return the id of the request, the same all through it."""
    found: str | None = req.context.get("request_id")
    if found is None:
        found = req.context["request_id"] = f"req-{uuid.uuid4()}"
    return found
