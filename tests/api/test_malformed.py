"""Every malformed body gets its 4xx and changes nothing, for every resource and both verbs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from falcon.testing import Result

from statera.api.settings import ApiSettings
from tests.api.harness import SUBNET, Api, running_api

RESOURCES = {
    "load balancer": ("/loadbalancers", "loadbalancer", "load_balancer"),
    "listener": ("/listeners", "listener", "listener_"),
    "pool": ("/pools", "pool", "pool_"),
    "member": ("/pools/{pool}/members", "member", "member_"),
    "health monitor": ("/healthmonitors", "healthmonitor", "health_monitor_"),
}
DEEP = b'{"x":' * 18_000 + b"1" + b"}" * 18_000
NESTED = b"[" * 900 + b"]" * 900


class World:
    """One object of each resource, and the body of a good creation of another."""

    def __init__(self, api: Api) -> None:
        self.api = api
        root = api.load_balancer()["id"]
        listener = api.listener(root)["id"]
        self.pool = api.pool(None, listener_id=listener)["id"]
        bare = api.pool(root)["id"]
        self.ids = {
            "load balancer": root,
            "listener": listener,
            "pool": self.pool,
            "member": api.member(self.pool)["id"],
            "health monitor": api.monitor(self.pool)["id"],
        }
        probe = {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
        self.good: dict[str, dict[str, Any]] = {
            "load balancer": {"vip_subnet_id": SUBNET},
            "listener": {"loadbalancer_id": root, "protocol": "TCP", "protocol_port": 81},
            "pool": {"loadbalancer_id": root, "protocol": "TCP", "lb_algorithm": "SOURCE_IP"},
            "member": {"address": "10.9.9.9", "protocol_port": 1},
            "health monitor": {"pool_id": bare, **probe},
        }
        api.settle()

    def path(self, resource: str, verb: str) -> str:
        """Return where the verb goes."""
        path = RESOURCES[resource][0].format(pool=self.pool)
        return path if verb == "POST" else f"{path}/{self.ids[resource]}"

    def send(self, resource: str, verb: str, body: bytes | object) -> Result:
        """Send a body."""
        return self.api.call(verb, self.path(resource, verb), body)


@pytest.fixture(name="shared", scope="module")
def shared_fixture(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all: no test may change it."""
    with running_api(database_kind, tmp_path_factory.mktemp("world"), ApiSettings()) as api:
        yield World(api)


@pytest.fixture(name="world")
def world_fixture(shared: World) -> Iterator[World]:
    """Check that a test has changed nothing."""
    before = shared.api.snapshot()
    yield shared
    assert shared.api.snapshot() == before


both = pytest.mark.parametrize("verb", ["POST", "PUT"])
each = pytest.mark.parametrize("resource", RESOURCES)

BYTES = {
    "nothing in it": (b"", 'Missing argument: "{argument}"'),
    "no JSON": (b"{name: x}", "Request is not in valid JSON format"),
    "cut off": (b'{"{root}": {"name": "x"', "Request is not in valid JSON format"),
    "twice": (b"{} {}", "Request is not in valid JSON format"),
    "NaN": (b'{"{root}": NaN}', "Request is not in valid JSON format"),
    "deep nesting": (DEEP, "Request is not in valid JSON format"),
    "nesting": (b'{"{root}": {"name": ' + NESTED + b"}}", "Request is not in valid JSON format"),
    "lone surrogate": (b'{"{root}": {"name": "\\ud800"}}', "Request is not in valid JSON format"),
    "low surrogate": (b'{"{root}": {"name": "\\udc00x"}}', "Request is not in valid JSON format"),
    "huge number": (b'{"{root}": {"name": 1' + b"0" * 9000 + b"}}", None),
    "wrong root": (b'{"thing": {}}', "Unknown attribute for argument {argument}: thing"),
    "two roots": (b'{"{root}": {}, "a": 1}', "Unknown attribute for argument {argument}: a"),
    "no root": (
        b"{}",
        "Invalid input for field/attribute {root}. Value: 'None'. Mandatory field missing.",
    ),
    "root null": (
        b'{"{root}": null}',
        "Invalid input for field/attribute {root}. Value: 'None'. Mandatory field missing.",
    ),
    "root list": (
        b'{"{root}": []}',
        "Invalid input for field/attribute {argument}. Value: '{{'{root}': []}}'. "
        "Value not a valid dict: []",
    ),
    "list": (b"[1]", None),
    "string": (b'"x"', None),
    "null": (b"null", None),
    "number": (b"7", None),
    "unknown key": (
        b'{"{root}": {"bogus": 1}}',
        "Unknown attribute for argument {argument}.{root}: bogus",
    ),
    "id": (
        b'{"{root}": {"id": "x"}}',
        "Unknown attribute for argument {argument}.{root}: id",
    ),
    "number for a string": (
        b'{"{root}": {"name": 7}}',
        "Invalid input for field/attribute name. Value: '7'. Value should be string",
    ),
    "object for a string": (
        b'{"{root}": {"name": {}}}',
        "Invalid input for field/attribute name. Value: '{{}}'. Value should be string",
    ),
    "too long": (
        b'{"{root}": {"name": "' + b"x" * 256 + b'"}}',
        "Invalid input for field/attribute name. Value: '" + "x" * 256 + "'. Value should have a "
        "maximum character requirement of 255",
    ),
    "NUL": (b'{"{root}": {"name": "a\\u0000b"}}', None),
    "no boolean": (
        b'{"{root}": {"admin_state_up": "maybe"}}',
        "Invalid input for field/attribute admin_state_up. Value: 'maybe'. "
        "Value not an unambiguous boolean: maybe",
    ),
    "tags no list": (
        b'{"{root}": {"tags": "a"}}',
        "Invalid input for field/attribute tags. Value: 'a'. Value not a valid list: a",
    ),
    "tag null": (b'{"{root}": {"tags": [null]}}', None),
    "tag NUL": (b'{"{root}": {"tags": ["\\u0000"]}}', None),
}


@both
@each
@pytest.mark.parametrize("case", BYTES)
def test_malformed_bodies_are_400(world: World, resource: str, verb: str, case: str) -> None:
    """With the text of the specification where it gives one."""
    _, root, argument = RESOURCES[resource]
    body, text = BYTES[case]
    sent = body.replace(b"{root}", root.encode())
    if b'": {"' in sent and verb == "POST" and root in sent.decode().partition(":")[0]:
        good = msgspec.json.encode(world.good[resource])[1:-1]
        sent = sent.replace(b'": {', b'": {' + good + b", ", 1)
    result = world.send(resource, verb, sent)
    assert result.status_code == 400
    assert result.json["faultcode"] == "Client"
    if text is not None:
        assert result.json["faultstring"] == text.format(root=root, argument=argument)


@both
@each
def test_bytes_that_are_no_text_are_400(world: World, resource: str, verb: str) -> None:
    """In the routing envelope, without a description."""
    result = world.send(resource, verb, b'{"name": "\xff\xfe"}')
    assert result.status_code == 400
    assert result.json == {"code": 400, "title": "Bad Request", "description": ""}


@both
@each
def test_ten_megabytes_are_413(world: World, resource: str, verb: str) -> None:
    """Whatever is in them."""
    assert world.send(resource, verb, b'"' + b"x" * 10_000_000 + b'"').status_code == 413


def _field(name: str, value: object, detail: str) -> str:
    return f"Invalid input for field/attribute {name}. Value: '{value}'. {detail}"


def _unknown(path: str, key: str) -> str:
    return f"Unknown attribute for argument {path}: {key}"


LEAST = "Value should be greater or equal to {}"
MOST = "Value should be lower or equal to {}"
UUID = "Value should be UUID format"
ADDRESS = "Value should be IPv4 or IPv6 format"
MISSING = "Mandatory field missing."

VALUES: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("listener", "POST", {"protocol_port": 0}, _field("protocol_port", 0, LEAST.format(1))),
    (
        "listener",
        "POST",
        {"protocol_port": 65536},
        _field("protocol_port", 65536, MOST.format(65535)),
    ),
    (
        "listener",
        "POST",
        {"protocol_port": 10**30},
        _field("protocol_port", 10**30, MOST.format(65535)),
    ),
    ("listener", "POST", {"protocol_port": None}, _field("protocol_port", None, MISSING)),
    ("listener", "POST", {"protocol_port": "9" * 5000}, None),
    ("listener", "POST", {"protocol": "http"}, None),
    ("listener", "POST", {"loadbalancer_id": "x"}, _field("loadbalancer_id", "x", UUID)),
    ("listener", "POST", {"loadbalancer_id": None}, _field("loadbalancer_id", None, MISSING)),
    (
        "listener",
        "POST",
        {"connection_limit": -2},
        _field("connection_limit", -2, LEAST.format(-1)),
    ),
    ("listener", "POST", {"insert_headers": {"X-Forwarded-For": True}}, None),
    (
        "listener",
        "POST",
        {"insert_headers": []},
        _field("insert_headers", "[]", "Value not a valid dict: []"),
    ),
    ("listener", "POST", {"l7policies": []}, _unknown("listener_.listener", "l7policies")),
    ("listener", "PUT", {"protocol": "TCP"}, _unknown("listener_.listener", "protocol")),
    ("listener", "PUT", {"protocol_port": 7}, None),
    (
        "listener",
        "PUT",
        {"timeout_client_data": 2073600001},
        _field("timeout_client_data", 2073600001, MOST.format(2073600000)),
    ),
    (
        "listener",
        "PUT",
        {"allowed_cidrs": ["10.0.0.0/33"]},
        _field("allowed_cidrs", "10.0.0.0/33", "Value should be IPv4 or IPv6 CIDR format"),
    ),
    (
        "listener",
        "PUT",
        {"allowed_cidrs": ["fe80::1%x -f shadow"]},
        _field("allowed_cidrs", "fe80::1%x -f shadow", "Value should be IPv4 or IPv6 CIDR format"),
    ),
    *(
        (
            resource,
            verb,
            {"alpn_protocols": ["h2", "h3"]},
            _field("alpn_protocols", "['h2', 'h3']", "Value should be a valid ALPN protocol ID"),
        )
        for resource in ("listener", "pool")
        for verb in ("POST", "PUT")
    ),
    ("listener", "PUT", {"tags": ["x" * 256]}, None),
    ("pool", "POST", {"lb_algorithm": "RANDOM"}, None),
    ("pool", "POST", {"session_persistence": []}, None),
    ("pool", "POST", {"session_persistence": {"type": "COOKIE"}}, None),
    (
        "pool",
        "POST",
        {"session_persistence": {"kind": "x"}},
        _unknown("pool_.pool.session_persistence", "kind"),
    ),
    ("pool", "POST", {"members": []}, _unknown("pool_.pool", "members")),
    ("pool", "PUT", {"lb_algorithm": None}, "None is not a valid option for lb_algorithm"),
    ("pool", "PUT", {"protocol": "TCP"}, _unknown("pool_.pool", "protocol")),
    ("member", "POST", {"address": "10.0.0.256"}, _field("address", "10.0.0.256", ADDRESS)),
    ("member", "POST", {"address": "fe80::1%eth0"}, _field("address", "fe80::1%eth0", ADDRESS)),
    ("member", "POST", {"address": None}, _field("address", None, MISSING)),
    ("member", "POST", {"weight": 257}, _field("weight", 257, MOST.format(256))),
    ("member", "POST", {"weight": "heavy"}, None),
    ("member", "POST", {"subnet_id": "10.0.0.0/8"}, _field("subnet_id", "10.0.0.0/8", UUID)),
    ("member", "PUT", {"address": "10.0.0.1"}, _unknown("member_.member", "address")),
    ("member", "PUT", {"monitor_port": 0}, _field("monitor_port", 0, LEAST.format(1))),
    ("health monitor", "POST", {"delay": -1}, _field("delay", -1, LEAST.format(0))),
    ("health monitor", "POST", {"max_retries": 11}, _field("max_retries", 11, MOST.format(10))),
    (
        "health monitor",
        "POST",
        {"url_path": "no/slash"},
        _field("url_path", "no/slash", "Value must be a valid URL Path string"),
    ),
    ("health monitor", "POST", {"url_path": "/a\nb"}, None),
    ("health monitor", "POST", {"expected_codes": "200-204,301"}, None),
    ("health monitor", "POST", {"http_version": 2}, None),
    ("health monitor", "POST", {"domain_name": "*.example"}, None),
    ("health monitor", "PUT", {"type": "TCP"}, _unknown("health_monitor_.healthmonitor", "type")),
    ("health monitor", "PUT", {"delay": None}, "None is not a valid option for delay"),
    ("health monitor", "PUT", {"http_method": "get"}, None),
    ("load balancer", "POST", {"vip_address": "10.1.0"}, _field("vip_address", "10.1.0", ADDRESS)),
    (
        "load balancer",
        "POST",
        {"vip_subnet_id": f"{{{SUBNET}}}"},
        _field("vip_subnet_id", f"{{{SUBNET}}}", UUID),
    ),
    ("load balancer", "POST", {"additional_vips": [{}]}, _field("subnet_id", None, MISSING)),
    ("load balancer", "POST", {"additional_vips": [7]}, None),
    ("load balancer", "POST", {"listeners": {}}, None),
    (
        "load balancer",
        "POST",
        {"listeners": [{"protocol": "HTTP"}]},
        _field("protocol_port", None, MISSING),
    ),
    (
        "load balancer",
        "POST",
        {"listeners": [{"bogus": 1}]},
        _unknown("load_balancer.loadbalancer.listeners", "bogus"),
    ),
    (
        "load balancer",
        "POST",
        {"provisioning_status": "ACTIVE"},
        _unknown("load_balancer.loadbalancer", "provisioning_status"),
    ),
    (
        "load balancer",
        "PUT",
        {"vip_address": "10.1.0.7"},
        _unknown("load_balancer.loadbalancer", "vip_address"),
    ),
    ("load balancer", "PUT", {"vip_sg_ids": ["x"]}, _field("vip_sg_ids", "x", UUID)),
    ("load balancer", "PUT", {"project_id": "p"}, None),
]


@pytest.mark.parametrize(("resource", "verb", "values", "text"), VALUES)
def test_wrong_values_are_400(
    world: World, resource: str, verb: str, values: dict[str, Any], text: str | None
) -> None:
    """Out of range, of the wrong type, not to be changed."""
    given = {**world.good[resource], **values} if verb == "POST" else values
    result = world.send(resource, verb, {RESOURCES[resource][1]: given})
    assert result.status_code == 400
    if text is not None:
        assert result.json["faultstring"] == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, _field("members", None, MISSING)),
        ({"members": None}, _field("members", None, MISSING)),
        ({"members": {}}, _field("members", "{}", "Value not a valid list: {}")),
        ({"members": [7]}, _field("members", 7, "Value not a valid dict: 7")),
        ({"members": [{"address": "10.0.0.1"}]}, _field("protocol_port", None, MISSING)),
        (
            {"members": [{"address": "10.0.0.1", "protocol_port": 1, "id": "x"}]},
            "Unknown attribute for argument members_.members: id",
        ),
        ({"member": {}}, _unknown("members_", "member")),
    ],
)
def test_malformed_batches_are_400(world: World, body: object, text: str) -> None:
    """The whole batch or nothing."""
    result = world.api.call("PUT", f"/pools/{world.pool}/members", body)
    assert (result.status_code, result.json["faultstring"]) == (400, text)


def test_what_cannot_be_parsed_is_blamed_on_the_argument(world: World) -> None:
    """An integer that is none names the whole body."""
    body = {"member": {"weight": "heavy"}}
    result = world.send("member", "PUT", body)
    expected = "invalid literal for int() with base 10: 'heavy'"
    assert result.json["faultstring"] == _field("member_", body, expected)
