"""HTTP: paths, methods, types, sizes, tokens, envelopes (`spec/api-behaviour` §4, §5)."""

from __future__ import annotations

import re
from typing import Any

import pytest

from statera.api.settings import ApiSettings
from tests.api.harness import PROJECT, SUBNET, UNKNOWN, Api, MemoryIdentity

BODY = {"loadbalancer": {"vip_subnet_id": SUBNET}}


@pytest.mark.parametrize(
    "path",
    [
        "/v2/lbaas/loadbalancers",
        "/v2.0/lbaas/loadbalancers",
        "/v2/loadbalancers",
        "/v2.0/loadbalancers",
        "/v2.0/lbaas/loadbalancers/",
        "//v2.0//lbaas//loadbalancers",
        "/v2.0/lbaas/loadbalancers//",
    ],
)
def test_every_spelling_of_a_path_is_the_same_collection(api: Api, path: str) -> None:
    """Version alias, with and without `lbaas`, trailing and doubled slashes."""
    made = api.load_balancer()
    assert [one["id"] for one in api.get(path)["loadbalancers"]] == [made["id"]]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("HEAD", "/loadbalancers", 405, "DELETE, GET, POST, PUT"),
        ("PATCH", "/loadbalancers", 405, "DELETE, GET, POST, PUT"),
        ("PATCH", f"/listeners/{UNKNOWN}", 405, "DELETE, GET, POST, PUT"),
        ("PATCH", f"/pools/{UNKNOWN}/members", 405, "DELETE, GET, POST, PUT"),
        ("POST", f"/loadbalancers/{UNKNOWN}/stats", 405, "GET"),
        ("GET", f"/loadbalancers/{UNKNOWN}/failover", 405, "PUT"),
        ("POST", "/providers", 405, "GET"),
        ("POST", "/v2", 405, "GET"),
    ],
)
def test_wrong_methods_name_the_right_ones(
    api: Api, method: str, path: str, status: int, allow: str
) -> None:
    """405 comes with `Allow`."""
    result = api.call(method, path)
    assert (result.status_code, result.headers["allow"]) == (status, allow)
    if method != "HEAD":
        envelope = {"code": 405, "title": "Method Not Allowed", "description": ""}
        assert result.json == envelope


@pytest.mark.parametrize(
    ("path", "description"),
    [("/v1/x", None), ("/v2/nothing", ""), (f"/v2/lbaas/loadbalancers/{UNKNOWN}/nothing", "")],
)
def test_unknown_paths_are_404_in_the_routing_envelope(
    api: Api, path: str, description: str | None
) -> None:
    """Below the version the description is empty, elsewhere null."""
    result = api.call("GET", path)
    expected = {"code": 404, "title": "Not Found", "description": description}
    assert (result.status_code, result.json) == (404, expected)


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("PUT", "/loadbalancers", 'Missing argument: "id"'),
        ("DELETE", "/listeners", 'Missing argument: "id"'),
        ("DELETE", f"/pools/{UNKNOWN}/members", 'Missing argument: "id"'),
        (
            "POST",
            f"/pools/{UNKNOWN}",
            f"Invalid input for field/attribute pool_. Value: '{UNKNOWN}'. "
            f"Value not a valid dict: {UNKNOWN}",
        ),
        ("POST", "/listeners?verbose=1", 'Unknown argument: "verbose"'),
        ("DELETE", f"/loadbalancers/{UNKNOWN}?cascade=1&force=1", 'Unknown argument: "force"'),
        ("POST", "/loadbalancers", 'Missing argument: "load_balancer"'),
        ("PUT", f"/pools/{UNKNOWN}/members", 'Missing argument: "members_"'),
    ],
)
def test_misused_urls_are_400(api: Api, method: str, path: str, text: str) -> None:
    """Ids too many or too few, arguments that a call does not know, no body."""
    result = api.call(method, path)
    assert result.status_code == 400
    assert result.json == {"faultcode": "Client", "faultstring": text, "debuginfo": None}


@pytest.mark.parametrize("accept", ["", "*/*", "application/*", "text/html, application/json;q=.5"])
def test_json_is_answered_to_whoever_takes_it(api: Api, accept: str) -> None:
    """Absent, wildcards, or among others."""
    result = api.call("GET", "/loadbalancers", headers={"Accept": accept})
    assert result.status_code == 200
    assert result.headers["content-type"].startswith("application/json")


def test_who_takes_no_json_gets_406(api: Api) -> None:
    """406 in the routing envelope."""
    result = api.call("GET", "/loadbalancers", headers={"Accept": "text/html"})
    assert result.status_code == 406
    assert result.json == {
        "code": 406,
        "title": "Not Acceptable",
        "description": "Only content type application/json is accepted.",
    }


@pytest.mark.parametrize(
    ("kind", "body", "status", "text"),
    [
        ("text/plain", b"{}", 415, "Unknown mimetype: text/plain"),
        ("application/x-www-form-urlencoded", b"name=x", 400, 'Unknown argument: "name"'),
    ],
)
def test_bodies_of_other_types_are_refused(
    api: Api, kind: str, body: bytes, status: int, text: str
) -> None:
    """Only JSON is read."""
    result = api.call("POST", "/loadbalancers", body, headers={"Content-Type": kind})
    assert (result.status_code, result.json["faultstring"]) == (status, text)


def test_type_parameters_do_not_matter(api: Api) -> None:
    """`application/json; charset=utf-8` is JSON."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    assert api.call("POST", "/loadbalancers", BODY, headers=kind).status_code == 201


@pytest.mark.parametrize("token", ["", f"member@{PROJECT}"])
def test_bodies_too_large_are_413_before_anything_else(api: Api, token: str) -> None:
    """10 MB are not read, with or without a token."""
    before = api.snapshot()
    result = api.call("POST", "/loadbalancers", b" " * 10_000_000, as_=token)
    assert result.status_code == 413
    assert result.headers["content-type"].startswith("text/plain")
    assert api.snapshot() == before


def test_chunked_bodies_are_bounded_too(api: Api) -> None:
    """Without a length the body is read up to the bound and no further."""
    headers = {"Transfer-Encoding": "chunked", "Content-Length": ""}
    result = api.call("POST", "/loadbalancers", b" " * 200_000, headers=headers)
    assert result.status_code == 413


@pytest.mark.parametrize("coding", ["chunked", "Chunked"])
def test_chunked_bodies_are_read(api: Api, coding: str) -> None:
    """However the coding is spelled."""
    headers = {"Transfer-Encoding": coding, "Content-Length": ""}
    assert api.call("POST", "/loadbalancers", BODY, headers=headers).status_code == 201


def test_without_a_token_there_is_a_challenge(api: Api) -> None:
    """401 in its own envelope, naming the identity service."""
    result = api.call("GET", "/loadbalancers", as_="")
    assert result.status_code == 401
    challenge = 'Keystone uri="http://identity.example/v3"'
    assert result.headers["www-authenticate"] == challenge
    message = "The request you have made requires authentication."
    error = {"code": 401, "title": "Unauthorized", "message": message}
    assert result.json == {"error": error}


def test_a_silent_identity_service_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain text, as keystonemiddleware answers."""
    monkeypatch.setattr(MemoryIdentity, "silent", True)
    result = api.call("GET", "/loadbalancers")
    text = "The Keystone service is temporarily unavailable."
    assert (result.status_code, result.text) == (503, text)


def test_a_bug_is_500_and_shows_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trace, no text of the exception."""

    def broken(_network: Any, _subnet_id: str, _caller: Any = None) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(type(api.networks), "subnet", broken)
    result = api.call("POST", "/loadbalancers", BODY)
    assert result.status_code == 500
    assert result.json["faultcode"] == "Server"
    assert "secret" not in result.text


@pytest.mark.parametrize("path", ["/loadbalancers", "/nothing", f"/pools/{UNKNOWN}"])
def test_every_reply_has_a_request_id(api: Api, path: str) -> None:
    """Errors too, each its own."""
    first, second = (api.call("GET", path).headers["x-openstack-request-id"] for _ in range(2))
    assert re.fullmatch("req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    assert first != second


def test_options_need_no_token(api: Api) -> None:
    """A preflight request is answered empty."""
    result = api.call("OPTIONS", "/loadbalancers", as_="")
    assert (result.status_code, result.text) == (200, "")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_the_version_document_is_open(api: Api, method: str) -> None:
    """31 minors, the last one current, addresses of the request."""
    result = api.call(method, "/", as_="", headers={"Host": "lb.example"})
    versions = result.json["versions"]
    assert [one["id"] for one in versions] == [f"v2.{minor}" for minor in range(31)]
    assert [one["status"] for one in versions] == ["SUPPORTED"] * 30 + ["CURRENT"]
    assert versions[-1]["updated"] == "2025-02-26T00:00:00Z"
    assert {one["links"][0]["href"] for one in versions} == {"http://lb.example/v2"}


def test_addresses_contain_the_prefix_of_the_mount(api: Api) -> None:
    """Below `/load-balancer` every address says so."""
    api.load_balancer()
    root = api.call("GET", "/", root_path="/load-balancer", headers={"Host": "lb.example"})
    href = "http://lb.example/load-balancer/v2"
    assert root.json["versions"][0]["links"][0]["href"] == href
    page = api.get(
        "/loadbalancers?limit=1", root_path="/load-balancer", headers={"Host": "lb.example"}
    )
    assert page["loadbalancers_links"][0]["href"].startswith(f"{href}.0/lbaas/loadbalancers?")


@pytest.mark.parametrize("path", ["/v2", "/v2.0", "/v2/lbaas", "/v2.0/lbaas/", "/v2/octavia"])
def test_sub_roots_name_the_version(api: Api, path: str) -> None:
    """With a token only."""
    assert api.get(path) == "v2"
    assert api.call("GET", path, as_="").status_code == 401


def test_providers_are_listed(api: Api) -> None:
    """amphora and its alias, reduced to the fields asked for."""
    assert api.get("/providers?fields=name") == {
        "providers": [{"name": "amphora"}, {"name": "octavia"}]
    }


class TestConfiguredBase:
    """`api_base_uri` replaces the request's own address."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Set the option."""
        return ApiSettings(api_base_uri="https://cloud.example/lb/")

    def test_addresses_start_with_it(self, api: Api) -> None:
        """In the version document and in links."""
        api.load_balancer()
        href = api.call("GET", "/").json["versions"][0]["links"][0]["href"]
        assert href == "https://cloud.example/lb/v2"
        link = api.get("/loadbalancers?limit=1")["loadbalancers_links"][0]["href"]
        assert link.startswith("https://cloud.example/lb/v2.0/lbaas/loadbalancers?limit=1&marker=")
