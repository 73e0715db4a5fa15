"""List queries: from query parameters to `PageQuery`, and the links of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import falcon

from statera.api.settings import ApiSettings
from statera.lb.errors import InvalidInput
from statera.store.queries_pages import UNKNOWN_FILTER, PageQuery, TagQuery

_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")
_RESERVED = frozenset(
    {"fields", "sort", "sort_key", "sort_dir", "limit", "marker", "page_reverse", *_TAGS}
)
INFINITE = "infinite"

Params = Mapping[str, str | list[str]]


def query_of(params: Params, scope: Mapping[str, str], settings: ApiSettings) -> PageQuery:
    """Return what a list is asked for; raise `InvalidInput` for what cannot be understood.

    `scope` as in `PageQuery`.
    """
    tags = [_words(params, name) for name in _TAGS]
    return PageQuery(
        scope=scope,
        filters=_filters(params),
        tags=TagQuery(*tags),
        sort=_sort(params),
        limit=_limit(params, settings.pagination_max_limit),
        marker=_last(params, "marker"),
        reverse=_last(params, "page_reverse") == "True",
    )


def fields_of(params: Params) -> frozenset[str] | None:
    """Return the keys that a reply is to be reduced to, None for all."""
    value = params.get("fields")
    if value is None:
        return None
    return frozenset([value] if isinstance(value, str) else value)


def links(
    req: falcon.Request, settings: ApiSettings, query: PageQuery, ids: Sequence[str]
) -> list[dict[str, str]]:
    """Return the links to the pages before and after the one that shows `ids`."""
    found = []
    if query.marker is not None and ids:
        found.append({"rel": "previous", "href": _href(req, settings, query, ids[0], back=True)})
    if ids and (query.limit is None or len(ids) >= query.limit):
        found.append({"rel": "next", "href": _href(req, settings, query, ids[-1])})
    return found


def _href(
    req: falcon.Request, settings: ApiSettings, query: PageQuery, marker: str, back: bool = False
) -> str:
    base = settings.api_base_uri.rstrip("/") or req.prefix
    parts: list[tuple[str, Any]] = [("limit", query.limit)]
    parts += [(name, _joined(req.params, name)) for name in ("sort", "sort_key")]
    parts.append(("marker", marker))
    if back:
        parts.append(("page_reverse", "True"))
    text = "&".join(f"{n}={quote(str(v), safe=':,')}" for n, v in parts if n == "limit" or v)
    return f"{base}{quote(req.path)}?{text}"


def _filters(params: Params) -> dict[str, str]:
    filters: dict[str, str] = {}
    for name, value in params.items():
        if name in _RESERVED:
            continue
        if not isinstance(value, str):
            raise InvalidInput(UNKNOWN_FILTER)
        filters[name] = value
    return filters


def _words(params: Params, name: str) -> tuple[str, ...] | None:
    value = params.get(name)
    if value is None:
        return None
    texts = [value] if isinstance(value, str) else value
    return tuple(word for text in texts for word in text.split(","))


def _joined(params: Params, name: str) -> str:
    value = params.get(name, "")
    return value if isinstance(value, str) else ",".join(value)


def _last(params: Params, name: str) -> str | None:
    value = params.get(name)
    return value[-1] if isinstance(value, list) else value


def _sort(params: Params) -> list[tuple[str, bool]]:
    sort = _joined(params, "sort")
    if sort:
        return [_sort_pair(part) for part in sort.split(",")]
    keys = [key for key in _joined(params, "sort_key").split(",") if key]
    directions = [part for part in _joined(params, "sort_dir").split(",") if part]
    directions += ["asc"] * (len(keys) - len(directions))
    return [(key, _descending(way)) for key, way in zip(keys, directions, strict=False)]


def _sort_pair(part: str) -> tuple[str, bool]:
    key, _, direction = part.partition(":")
    if ":" in direction:
        raise InvalidInput(f"Supplied sort key '{part}' is not valid.", routed=True)
    return key, _descending(direction or "asc")


def _descending(direction: str) -> bool:
    if direction.lower() not in ("asc", "desc"):
        raise InvalidInput(f"Supplied sort direction '{direction}' is not valid.", routed=True)
    return direction.lower() == "desc"


def _limit(params: Params, most: int) -> int | None:
    text = _last(params, "limit")
    if text is None:
        return most or None
    try:
        limit = 0 if text == INFINITE else int(text)
    except ValueError:
        raise InvalidInput(
            f"Supplied pagination limit '{text}' is not valid.", routed=True
        ) from None
    if limit <= 0:
        return None
    return min(limit, most) if most else min(limit, 2**31 - 1)
