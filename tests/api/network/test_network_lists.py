"""Lists of the Network API: filters, fields, order and pages; discovery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import falcon.testing
import pytest

Call = Callable[..., falcon.testing.Result]
Names = Callable[..., list[str]]


@pytest.fixture
def names(member: Call) -> Names:
    """Five networks, and a call that lists the names of those that a query finds."""
    for name, mtu in (("a", 1500), ("b", 9000), ("c", 1500), ("d", 9000), ("", 1400)):
        member("POST", "/networks", {"network": {"name": name, "mtu": mtu}})

    def listed(query: str) -> list[str]:
        reply = member("GET", "/networks", query_string=query)
        assert reply.status_code == 200, reply.text
        return [network["name"] for network in reply.json["networks"]]

    return listed


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=b", ["b"]),
        ("name=b&name=a&sort_key=name", ["a", "b"]),
        ("name=", [""]),
        ("mtu=9000&sort_key=name", ["b", "d"]),
        ("mtu=9000&name=b", ["b"]),
        ("admin_state_up=False", []),
        ("shared=false&name=a", ["a"]),
        ("router:external=True", []),
        ("status=ACTIVE&name=c", ["c"]),
        ("project_id=blue", []),
        ("tenant_id=red&name=d", ["d"]),
        ("created_at=2001-01-01T00:00:00Z", []),
        ("sort_key=mtu&sort_dir=desc&sort_key=name&sort_dir=desc", ["d", "b", "c", "a", ""]),
        ("sort_key=name&sort_dir=asc&limit=2", ["", "a"]),
    ],
)
def test_filters_and_order(names: Names, query: str, found: list[str]) -> None:
    """Every filter narrows the list, one of its values sufficing."""
    assert names(query) == found


def test_created_at_is_a_filter(member: Call, network_id: str) -> None:
    """A time that a reply shows finds the object again."""
    created = member("GET", f"/networks/{network_id}").json["network"]["created_at"]
    found = member("GET", "/networks", params={"created_at": created}).json["networks"]
    assert [network["id"] for network in found] == [network_id]


@pytest.mark.parametrize(
    "query",
    [
        "sort_key=name&name=a&name=b&name=c",
        "sort_key=mtu",
        "sort_key=shared&sort_dir=desc&sort_key=admin_state_up",
        "&".join(["sort_key=mtu"] * 300),
        "",
    ],
    ids=lambda query: str(query)[:40],
)
def test_pages_give_each_object_once(member: Call, names: Names, query: str) -> None:
    """Following the links visits the whole list, in its order."""
    whole = names(query)
    found: list[str] = []
    following = f"{query}&limit=1"
    while following:
        reply = member("GET", "/networks", query_string=following).json
        found += [network["name"] for network in reply["networks"]]
        links = reply.get("networks_links", [])
        assert {link["rel"] for link in links} <= {"next"}
        following = links[0]["href"].partition("?")[2] if links else ""
    assert found == whole


@pytest.mark.parametrize(
    "query",
    [
        "nonsense=1",
        "sort_key=nonsense",
        "sort_dir=asc",
        "sort_key=name&sort_dir=up",
        "limit=-1",
        "limit=x",
        "mtu=many",
        "mtu=99999999999999999999999",
        "shared=perhaps",
        "name=%00",
        "created_at=yesterday",
        "created_at=9999-12-31T23:59:59Z",
        "&".join(["created_at=2001-01-01"] * 1001),
    ],
    ids=lambda query: str(query)[:40],
)
def test_wrong_queries(member: Call, names: Names, query: str) -> None:
    """What cannot be asked is refused with words."""
    assert names("name=a") == ["a"]
    refused = member("GET", "/networks", query_string=query)
    assert refused.status_code == 400
    assert refused.json["NeutronError"]["type"] == "HTTPBadRequest"


def test_unknown_marker(member: Call) -> None:
    """A marker that names nothing is no start."""
    assert member("GET", "/networks", params={"marker": "gone"}).status_code == 404


def test_fields(member: Call, network_id: str) -> None:
    """Replies hold only the fields that were asked for."""
    query = "fields=id&fields=mtu"
    shown = member("GET", f"/networks/{network_id}", query_string=query).json
    assert shown == {"network": {"id": network_id, "mtu": 1500}}
    listed = member("GET", "/networks", query_string=query).json
    assert listed == {"networks": [{"id": network_id, "mtu": 1500}]}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"fixed_ips": "ip_address=10.1.0.7"}, 1),
        ({"fixed_ips": ["ip_address=10.1.0.7", "ip_address=10.1.0.8"]}, 2),
        ({"fixed_ips": ["ip_address=10.1.0.7", "subnet_id=none"]}, 0),
        ({"device_id": "vm"}, 1),
        ({"status": "ACTIVE"}, 1),
        ({"security_groups": "x"}, 0),
    ],
)
def test_port_filters(
    member: Call, network_id: str, subnet_id: str, params: Mapping[str, Any], found: int
) -> None:
    """Ports are found by address, subnet and device."""
    for last, device in ((7, "vm"), (8, "")):
        wanted = [{"subnet_id": subnet_id, "ip_address": f"10.1.0.{last}"}]
        port = {"network_id": network_id, "fixed_ips": wanted, "device_id": device}
        assert member("POST", "/ports", {"port": port}).status_code == 201
    # Repeated values are sent as repeated parameters, as clients do.
    reply = member("GET", "/ports", params=params, params_csv=False)
    assert len(reply.json["ports"]) == found


def test_discovery_names_where_it_is_mounted(client: falcon.testing.TestClient) -> None:
    """The version document needs no token and its links keep the mount point."""
    found = client.simulate_get("/", root_path="/network").json["versions"]
    assert [(v["id"], v["status"]) for v in found] == [("v2.0", "CURRENT")]
    assert found[0]["links"][0]["href"].endswith("/network/v2.0/")
    names = client.simulate_get("/v2.0/", root_path="/network").json["resources"]
    assert [item["collection"] for item in names] == ["networks", "subnets", "ports"]


def test_extensions(member: Call) -> None:
    """Extensions are listed and shown by alias; others do not exist."""
    listed = member("GET", "/extensions").json["extensions"]
    alias = listed[0]["alias"]
    assert member("GET", f"/extensions/{alias}").json["extension"] == listed[0]
    missing = member("GET", "/extensions/security-group")
    assert (missing.status_code, missing.json["NeutronError"]["type"]) == (404, "ExtensionNotFound")
