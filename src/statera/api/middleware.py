"""What happens to every request before its resource: size, preflight, token, accepted type, id."""

from __future__ import annotations

import re
import uuid

import falcon

from statera.api.context import ApiContext
from statera.api.faults import IdentitySilent
from statera.api.requests import JSON, BodyTooLarge
from statera.lb.errors import Retryable

OPEN = frozenset({"/", "/healthcheck"})
"""Paths below the mount that need no token."""
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
        _check_url(req)
        _check_accept(req)


def _check_url(req: falcon.Request) -> None:
    if "\x00" in req.path or "%00" in req.query_string:
        # PostgreSQL cannot even look for it, and no id or name can have it
        raise falcon.HTTPBadRequest(description="NUL characters are not allowed in a URL.")


def _check_accept(req: falcon.Request) -> None:
    accept = req.get_header("Accept") or "*/*"
    if not any(kind in accept for kind in _ACCEPTED):
        raise falcon.HTTPNotAcceptable(
            description="Only content type application/json is accepted."
        )
