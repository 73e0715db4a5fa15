"""Whatever a client sends, the answer is a 4xx in Keystone's envelope that says what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from falcon import testing

if TYPE_CHECKING:
    from tests.api.identity.conftest import Cloud

BODIES = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"7",
    b"{",
    b"{}",
    b'{"auth": 1}',
    b'{"auth": {"identity": []}}',
    b'{"auth": {"identity": {"methods": []}}}',
    b'{"auth": {"identity": {"methods": "password"}}}',
    b'{"auth": {"identity": {"methods": [7]}}}',
    b'{"auth": {"identity": {"methods": ["password"]}}}',
    b'{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "x"}}}}}',
    b'{"auth": {"identity": {"methods": ["password"], "password": {"user": '
    b'{"name": "x", "password": "y"}}}}}',
    b'{"auth": {"identity": {"methods": ["password"], "password": {"user": '
    b'{"name": "a\\u0000b", "domain": {"id": "default"}, "password": "y"}}}}}',
    b'{"user": {"name": ""}}',
    b'{"user": {"name": " "}}',
    b'{"user": {"name": "' + b"x" * 256 + b'"}}',
    b'{"user": {"name": "x", "enabled": "yes"}}',
    b'{"user": {"name": "x", "options": {"lock_password": true}}}',
    b'{"user": {"name": "\xff"}}',
    b'{"user": {"name": "\\ud800"}}',
    b"[" * 50_000,
    b'{"user":' * 10_000,
    b'{"user": {"name": 1e999}}',
]


def _check(result: testing.Result, code: int) -> None:
    assert result.status_code == code, result.text
    assert result.json["error"]["code"] == code
    assert result.json["error"]["message"]


@pytest.mark.parametrize("path", ["/v3/auth/tokens", "/v3/users", "/v3/projects", "/v3/roles"])
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_malformed_body(cloud: Cloud, path: str, body: bytes) -> None:
    """Wrong root, type, length, encoding, nesting: 400, and nothing is made."""
    before = cloud.call("GET", "/v3/users").json["users"]
    _check(cloud.call("POST", path, body), 400)
    assert cloud.call("GET", "/v3/users").json["users"] == before


def test_ten_megabytes(cloud: Cloud) -> None:
    """A huge body is refused before it is read."""
    body = b'{"user": {"name": "' + b"x" * 10_000_000 + b'"}}'
    _check(cloud.call("POST", "/v3/users", body), 413)
    _check(cloud.call("POST", "/v3/auth/tokens", body), 413)


def test_other_content_type(cloud: Cloud) -> None:
    """A form is no JSON."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    _check(cloud.call("POST", "/v3/users", b"name=x", headers=headers), 400)


@pytest.mark.parametrize(
    "path",
    [
        "/v3/users/%00",
        "/v3/users/%ff%fe",
        "/v3/users/" + "x" * 3000,
        "/v3/projects/x",
        "/v3/roles/x",
        "/v3/domains/x",
        "/v3/services/x",
        "/v3/nothing",
        "/v2.0/tokens",
        "/v3/projects/x/users/y/roles",
    ],
)
def test_unknown_objects(cloud: Cloud, path: str) -> None:
    """What is not there is 404, however odd its name."""
    _check(cloud.call("GET", path), 404)


def test_odd_queries(cloud: Cloud) -> None:
    """A NUL in a query is refused; anything else finds nothing."""
    _check(cloud.call("GET", "/v3/users", query_string="name=%00"), 400)
    for query in ("name=%ff", "name=", "name=a&name=b", "enabled=perhaps&id=x", "limit=x&name=y"):
        result = cloud.call("GET", "/v3/users", query_string=query)
        assert (result.status_code, result.json["users"]) == (200, [])


def test_wrong_method(cloud: Cloud) -> None:
    """405 names the methods that there are."""
    result = cloud.call("DELETE", "/v3/users")
    _check(result, 405)
    assert "POST" in result.headers["Allow"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v3/users"),
        ("POST", "/v3/users"),
        ("GET", "/v3/domains"),
        ("GET", "/v3/roles"),
        ("GET", "/v3/endpoints"),
        ("GET", "/v3/auth/catalog"),
        ("GET", "/v3/role_assignments"),
    ],
)
def test_closed_without_a_token(cloud: Cloud, method: str, path: str) -> None:
    """Everything but discovery and login asks for a token, before it looks at the body."""
    for token in ("", "gAAAAABnonsense"):
        result = cloud.call(method, path, token=token)
        _check(result, 401)
        assert "WWW-Authenticate" in result.headers
