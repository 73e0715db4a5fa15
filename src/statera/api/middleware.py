"""What happens to every request before its resource: size, preflight, token, accepted type, id."""

from __future__ import annotations

import re
import uuid
from typing import cast

import falcon

from statera.api.context import ApiContext
from statera.api.faults import IdentitySilent
from statera.api.requests import JSON, BodyTooLarge
from statera.lb.errors import Retryable

OPEN = frozenset({"/", "/healthcheck"})
"""Paths below the mount that need no token."""
NO_TEXT = "\ufffd"
"""What bytes become that are no UTF-8."""
REQUEST_ID = "x-openstack-request-id"

_SLASHES = re.compile("/{2,}")
_ACCEPTED = ("*/*", "application/*", JSON)


class Gate:
    """Falcon middleware: the order of `spec/api-behaviour` §5, outermost first."""

    def __init__(self, context: ApiContext) -> None:
        self._identity = context.identity
        self._longest_body = context.settings.max_request_body_size

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Refuse what no resource should see; find out who is calling."""
        resp.set_header(REQUEST_ID, f"req-{uuid.uuid4()}")
        if "//" in req.path or (req.path.endswith("/") and req.path != "/"):
            req.path = _SLASHES.sub("/", req.path).rstrip("/") or "/"
        _without_nul(req)
        if (req.content_length or 0) > self._longest_body:
            raise BodyTooLarge
        req.context.longest_body = self._longest_body
        if req.method == "OPTIONS":
            resp.complete = True
            return
        if req.path in OPEN:
            return
        try:
            req.context.caller = self._identity.authenticate(req.headers_lower)
        except Retryable as error:
            raise IdentitySilent from error
        _check_accept(req)


def _without_nul(req: falcon.Request) -> None:
    """Read NUL as what is no text either: nothing stored holds it, and PostgreSQL refuses it."""
    if "\0" in req.path:
        req.path = req.path.replace("\0", NO_TEXT)
    if "%00" in req.query_string:
        params = cast("dict[str, str | list[str]]", req.params)
        for name, value in params.items():
            if isinstance(value, str):
                params[name] = value.replace("\0", NO_TEXT)
            else:
                params[name] = [word.replace("\0", NO_TEXT) for word in value]


def _check_accept(req: falcon.Request) -> None:
    accept = req.get_header("Accept") or "*/*"
    if not any(kind in accept for kind in _ACCEPTED):
        raise falcon.HTTPNotAcceptable(
            description="Only content type application/json is accepted."
        )
