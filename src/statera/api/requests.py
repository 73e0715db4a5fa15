"""Reading requests: bodies, arguments, the caller.  Everything malformed is a 4xx."""

from __future__ import annotations

from collections.abc import Set
from typing import Any
from urllib.parse import parse_qsl

import falcon
import msgspec

from statera.lb.caller import Caller
from statera.lb.errors import InvalidInput, UserError
from statera.lb.kinds import TRUE
from statera.lb.reading import NONE

JSON = "application/json"
NO_JSON = "Request is not in valid JSON format"
DEEPEST = 32
"""Levels of nesting that a body may have; the deepest meaningful one has nine."""
FORM = "application/x-www-form-urlencoded"


class UnknownMimetype(UserError):
    """The body is not JSON."""

    status = 415


class BodyTooLarge(Exception):
    """The body is larger than the installation takes."""


def caller_of(req: falcon.Request) -> Caller:
    """Return who sent the request; the middleware has found out."""
    caller: Caller = req.context.caller
    return caller


def body(req: falcon.Request, argument: str) -> Any:
    """Return the decoded JSON body; `argument` is its name in messages."""
    _check_type(req)
    data = _data(req)
    if not data:
        raise InvalidInput(f'Missing argument: "{argument}"')
    try:
        decoded = msgspec.json.decode(data)
    except UnicodeDecodeError:
        raise InvalidInput("", routed=True) from None
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise InvalidInput(NO_JSON) from None
    if data.count(b"[") + data.count(b"{") > DEEPEST and _deeper_than(decoded, DEEPEST):
        raise InvalidInput(NO_JSON)
    return decoded


def _deeper_than(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return levels == 0 or any(_deeper_than(item, levels - 1) for item in value)


def refuse_arguments(req: falcon.Request, known: Set[str] = NONE) -> None:
    """Refuse query parameters that the call does not know."""
    for name in req.params:
        if name not in known:
            raise InvalidInput(f'Unknown argument: "{name}"')


def flag(req: falcon.Request, name: str) -> bool:
    """Return a boolean query parameter; what cannot be understood is false."""
    value = req.params.get(name, "")
    return isinstance(value, str) and value.strip().lower() in TRUE


def _check_type(req: falcon.Request) -> None:
    kind = (req.content_type or JSON).partition(";")[0].strip().lower()
    if kind == FORM:
        names = parse_qsl(_data(req).decode("latin-1"), keep_blank_values=True)
        raise InvalidInput(f'Unknown argument: "{names[0][0] if names else ""}"')
    if kind != JSON:
        raise UnknownMimetype(f"Unknown mimetype: {kind}")


def _data(req: falcon.Request) -> bytes:
    most: int = req.context.longest_body
    coding = req.get_header("Transfer-Encoding") or ""
    if req.content_length is None and "chunked" in coding.lower():
        data: bytes = req.stream.read(most + 1)
    else:
        data = req.bounded_stream.read(most + 1)
    if len(data) > most:
        raise BodyTooLarge
    return data
