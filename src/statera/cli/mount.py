"""One WSGI application out of several, each below a prefix of the path.

The prefix moves from `PATH_INFO` to `SCRIPT_NAME`, as WSGI wants it, so an application builds links
that contain its prefix without knowing it.  A prefix is one segment; `""` takes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Mounts:
    """`applications` by prefix (`/identity`; `""` for the rest)."""

    def __init__(self, applications: Mapping[str, Application]) -> None:
        self._first: dict[str, tuple[str, Application]] = {}
        for prefix, application in applications.items():
            if prefix.count("/") > 1 or (prefix and not prefix.startswith("/")):
                raise ValueError(f"a mount is one segment, not {prefix!r}")
            self._first[prefix.lstrip("/")] = (prefix, application)
        self._rest = applications[""]

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request by the application that its path belongs to."""
        path = environ["PATH_INFO"]
        segment = path[1:].partition("/")[0]
        found = self._first.get(segment) if segment else None
        if found is None:
            return self._rest(environ, start)
        prefix, application = found
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
        environ["PATH_INFO"] = path[len(prefix) :]
        return application(environ, start)
