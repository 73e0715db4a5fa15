"""Requests reach the application below whose prefix they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from statera.cli.mount import Mounts


def named(name: str) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return an application that answers with its name and what it saw."""

    def application(environ: dict[str, Any], _: Callable[..., Any]) -> Iterable[bytes]:
        return [f"{name} {environ['SCRIPT_NAME']!r} {environ['PATH_INFO']!r}".encode()]

    return application


MOUNTS = Mounts(
    {"": named("rest"), "/identity": named("identity"), "/load-balancer": named("rest")}
)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", "rest '' '/'"),
        ("/v2.0/lbaas/loadbalancers", "rest '' '/v2.0/lbaas/loadbalancers'"),
        ("/identity", "identity '/identity' ''"),
        ("/identity/", "identity '/identity' '/'"),
        ("/identity/v3/auth/tokens", "identity '/identity' '/v3/auth/tokens'"),
        ("/identityx/v3", "rest '' '/identityx/v3'"),
        ("/v3/identity", "rest '' '/v3/identity'"),
        ("/load-balancer/v2", "rest '/load-balancer' '/v2'"),
        ("//identity", "rest '' '//identity'"),
        ("", "rest '' ''"),
    ],
)
def test_mounts(path: str, answer: str) -> None:
    """The prefix moves from the path to the script name, whole segments only."""
    environ = {"SCRIPT_NAME": "", "PATH_INFO": path}
    assert b"".join(MOUNTS(environ, print)).decode() == answer


def test_below_another_prefix() -> None:
    """What a server in front has taken off already stays in front."""
    environ = {"SCRIPT_NAME": "/outer", "PATH_INFO": "/identity/v3"}
    assert b"".join(MOUNTS(environ, print)) == b"identity '/outer/identity' '/v3'"


@pytest.mark.parametrize("prefix", ["identity", "/a/b", "/a/"])
def test_odd_prefixes(prefix: str) -> None:
    """A prefix is one segment."""
    with pytest.raises(ValueError, match="one segment"):
        Mounts({"": named("rest"), prefix: named("x")})
