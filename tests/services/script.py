"""A long list of requests on which databases could differ: each has its own idea of text and time.

Texts that look or sort alike, trailing blanks, LIKE's own characters, NUL, numbers out of bounds,
times, JSON; every attribute of every resource as filter and as sort key.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from statera.lb.declare import attributes
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.load_balancer import LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool
from tests.api.harness import OTHER_SUBNET, SUBNET, SUBNET6, UNKNOWN


@dataclass(frozen=True)
class Request:
    """One request; `{name}` in path and body is the id that an earlier one has kept as `name`."""

    method: str
    path: str
    body: Any = None
    keep: str = ""
    caller: str = "member@project-a"


SETTLE = Request("SETTLE", "")
"""Let every wish be in force."""

TEXTS = (
    "plain", "Plain", "PLAIN", "plain ", " plain", "plain  ", "", " ", "10", "9", "_", "%", "pl%in",
    "pl_in", "[a]", "\\", "\\\\", "'", '"', "a/b", "a-b", "a b", "ab", "A-b", "Zebra", "apple",
    "ä", unicodedata.normalize("NFD", "ä"), "ß", "ss", "SS", "\u0131", "I", "i", "ﬁ", "é", "e", "Ω",
    "🦊", "🦊🦊", "🏳️‍🌈", "\u200b", "a\u0000b", "a\tb", "a\nb", "\u2028", "x" * 255, "🦊" * 255,
    "x" * 256, "日", "null", "NULL", "true", "0x41",
)  # fmt: skip
PROBES = (
    "", "x", "plain", "PLAIN ", "1", "0", "-1", "1.0", "1e3", "nan", "inf", "-inf", "true", "FALSE",
    "2147483647", "2147483648", "-2147483649", "9223372036854775808", "%25", "_", "%00", "%FF",
    "null", "None", "[]", "{}", "%F0%9F%A6%8A", "1_0", "%D9%A1", "ONLINE", "active", "ACTIVE",
    "ACTIVE%20", "2001-01-01T00:00:00", "2001-01-01T00:00:00.123456%2B02:00", "0001-01-01T00:00:00",
    "9999-12-31T23:59:59.999999", "20010101",
)  # fmt: skip
LISTS: dict[str, type[Any]] = {
    "/loadbalancers": LoadBalancer,
    "/listeners": Listener,
    "/pools": Pool,
    "/pools/{pool}/members": Member,
    "/healthmonitors": HealthMonitor,
}
EXTRA = ("provisioning_status", "enabled", "ip_address", "vip_sg_ids", "loadbalancer_id")


def script() -> Iterator[Request]:
    """Yield the whole list."""
    yield from _texts()
    yield from _tree()
    yield from _children()
    yield SETTLE
    yield from _lists()
    yield from _pages()
    yield from _tags()
    yield from _ids()
    yield from _endings()


def _balancer(**values: Any) -> dict[str, Any]:
    return {"loadbalancer": {"vip_subnet_id": SUBNET, **values}}


def _texts() -> Iterator[Request]:
    """Names, descriptions and tags of every kind, found again and changed."""
    for number, text in enumerate(TEXTS):
        body = _balancer(name=text, description=text, admin_state_up=number % 2 == 0)
        yield Request("POST", "/loadbalancers", body, f"text{number}")
    for text in TEXTS:
        sought = quote(text)
        yield Request("GET", f"/loadbalancers?name={sought}")
        yield Request("GET", f"/loadbalancers?description={sought}&sort=name:desc")
    for name in ("name", "description", "admin_state_up,name", "id"):
        yield Request("GET", f"/loadbalancers?sort={name}:desc&fields=name")
    tags = [text for text in TEXTS if 0 < len(text) <= 255 and "\0" not in text]
    yield Request("POST", "/loadbalancers", _balancer(name="tagged", tags=tags), "tagged")
    yield Request("PUT", "/loadbalancers/{tagged}", {"loadbalancer": {"tags": tags[::-1]}})
    yield Request("PUT", "/loadbalancers/{tagged}", {"loadbalancer": {"tags": ["a", "a", "A"]}})
    for number, text in enumerate(TEXTS[:12]):
        change = {"loadbalancer": {"name": text + "2", "description": None}}
        yield Request("PUT", f"/loadbalancers/{{text{number}}}", change)


def _tree() -> Iterator[Request]:
    """A load balancer made with everything under it, on two subnets."""
    members = [
        {"address": f"10.3.0.{n}", "protocol_port": 80, "weight": n, "backup": n == 3}
        for n in (1, 2, 3)
    ]
    monitor = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "url_path": "/%_🦊"}
    good = {**monitor, "url_path": "/a_b%25", "http_version": 1.1, "domain_name": "a.example"}
    pool = {
        "name": "inner",
        "protocol": "HTTP",
        "lb_algorithm": "SOURCE_IP",
        "session_persistence": {"type": "APP_COOKIE", "cookie_name": "Ä_b"},
        "members": members,
    }
    sticky = {"type": "APP_COOKIE", "cookie_name": "a_b"}
    listener = {
        "name": "outer",
        "protocol": "HTTP",
        "protocol_port": 80,
        "insert_headers": {"X-Forwarded-For": "true", "X-Forwarded-Port": "false"},
        "allowed_cidrs": ["10.0.0.0/8", "fd00::/8"],
        "connection_limit": 2**31 - 1,
    }
    for probe, persistence in ((monitor, sticky), (good, {"type": "X"}), (good, sticky)):
        inner = {**pool, "healthmonitor": probe, "session_persistence": persistence}
        body = _balancer(name="tree", listeners=[{**listener, "default_pool": inner}])
        body["loadbalancer"]["additional_vips"] = [{"subnet_id": SUBNET6}]
        yield Request("POST", "/loadbalancers", body, "tree")
    for part in ("", "/status", "/stats"):
        yield Request("GET", f"/loadbalancers/{{tree}}{part}")


def _children() -> Iterator[Request]:
    """Objects one by one, with numbers at and beyond their bounds, lists, and null."""
    yield Request("POST", "/loadbalancers", _balancer(name="root"), "root")
    for number, limit in enumerate((-1, 1, 2**31 - 1, 2**31, 2**63, -2, 1.5, "7", True, None)):
        body: dict[str, Any] = {
            "loadbalancer_id": "{root}",
            "name": TEXTS[number],
            "protocol": "TCP",
            "protocol_port": 100 + number,
            "connection_limit": limit,
            "tags": [TEXTS[number], "t"],
        }
        yield Request("POST", "/listeners", {"listener": body}, f"listener{number}")
    twin = {"loadbalancer_id": "{root}", "protocol": "TCP", "protocol_port": 100}
    yield Request("POST", "/listeners", {"listener": twin})
    yield Request("POST", "/listeners", {"listener": {**twin, "protocol": "UDP"}}, "udp")
    for number, persistence in enumerate((None, {"type": "SOURCE_IP"}, {"type": "HTTP_COOKIE"})):
        body = {
            "loadbalancer_id": "{root}",
            "name": f"pool{number}",
            "protocol": "HTTP",
            "lb_algorithm": "LEAST_CONNECTIONS",
            "session_persistence": persistence,
        }
        yield Request("POST", "/pools", {"pool": body}, f"pool{number}" if number else "pool")
    yield from _members()
    for version, codes in ((1.0, "200"), (1.1, "200-204"), (None, "200,202"), (2.5, "1")):
        body = {
            "pool_id": "{pool}",
            "type": "HTTP",
            "delay": 2**31 - 1,
            "timeout": 5,
            "max_retries": 3,
            "http_version": version,
            "expected_codes": codes,
        }
        yield Request("POST", "/healthmonitors", {"healthmonitor": body}, "monitor")
        yield Request("DELETE", "/healthmonitors/{monitor}")
    yield Request("POST", "/healthmonitors", {"healthmonitor": {**body, "http_version": 1.1}})


def _members() -> Iterator[Request]:
    path = "/pools/{pool}/members"
    addresses = (
        "10.0.0.1",
        "10.0.0.1",
        "10.0.0.10",
        "10.0.0.9",
        "fd00::1",
        "FD00:0::1",
        "10.0.0.1 ",
    )
    for number, address in enumerate(addresses):
        body = {
            "address": address,
            "protocol_port": 80,
            "name": TEXTS[number],
            "weight": number,
            "monitor_port": number * 1000 or None,
            "subnet_id": OTHER_SUBNET if number % 2 else None,
        }
        yield Request("POST", path, {"member": body}, f"member{number}")
    batch = [{"address": f"10.0.1.{n}", "protocol_port": 1 + n, "name": TEXTS[n]} for n in range(9)]
    yield Request("PUT", f"{path}?additive_only=true", {"members": batch})
    yield Request("GET", f"{path}?fields=address&fields=name")
    yield Request("PUT", path, {"members": [*batch[2:5], batch[2]]})
    yield Request("PUT", path, {"members": batch[2:7]})
    yield Request("GET", f"{path}?sort=address:desc")


def _lists() -> Iterator[Request]:
    """Every attribute as filter, with every probe, and as sort key."""
    for path, declared in LISTS.items():
        for name in (*attributes(declared), *EXTRA):
            yield Request("GET", f"{path}?sort={name},id&fields=id&fields={name}")
            yield Request("GET", f"{path}?sort={name}:desc&limit=3&fields={name}")
            for probe in PROBES:
                yield Request("GET", f"{path}?{name}={probe}&fields=id&fields={name}&limit=4")


def _pages() -> Iterator[Request]:
    """Pages forth and back from every name, by keys that have equal values."""
    for key in ("name", "description:desc,name", "admin_state_up,created_at:desc", "updated_at"):
        for number in range(0, 40, 3):
            found = f"/loadbalancers?sort={key}&limit=3&fields=name&marker={{text{number}}}"
            yield Request("GET", found)
            yield Request("GET", f"{found}&page_reverse=True")


def _tags() -> Iterator[Request]:
    many = ",".join(f"w{number}" for number in range(3000))
    for words in (*"tT🦊", "t%20", "plain", "Plain,t", "%00", "%FF", "pl_in", "%25", "", many):
        for form in ("tags", "tags-any", "not-tags", "not-tags-any"):
            yield Request("GET", f"/listeners?{form}={quote(words, safe='%,')}&fields=name")


def _ids() -> Iterator[Request]:
    """Ids that are none, as path, parent, reference and marker."""
    for wrong in ("%00", "%FF", "x", UNKNOWN, UNKNOWN.upper(), "🦊", "x" * 300, "'", "%25", "a%20"):
        for path in (*(path.partition("?")[0] for path in LISTS), "/pools/{pool}/members"):
            yield Request("GET", f"{path}/{quote(wrong, safe='%')}")
            yield Request("DELETE", f"{path}/{quote(wrong, safe='%')}")
            yield Request("GET", f"{path}?marker={quote(wrong, safe='%')}")
        yield Request("GET", f"/pools/{quote(wrong, safe='%')}/members")
        yield Request("GET", f"/loadbalancers?project_id={quote(wrong, safe='%')}")
    for text in (UNKNOWN, "x", "🦊", "a\0b", ""):
        pool = {"loadbalancer_id": text, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        yield Request("POST", "/pools", {"pool": pool})
        yield Request("PUT", "/listeners/{listener0}", {"listener": {"default_pool_id": text}})
        yield Request("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": text}})
        yield Request("POST", "/loadbalancers", _balancer(project_id=text), caller="admin@other")
    yield Request("GET", "/loadbalancers/{TEXT0}")
    yield Request("GET", "/loadbalancers?sort=project_id,name&fields=name", caller="admin@other")


def _endings() -> Iterator[Request]:
    """Deletions, what is refused meanwhile, and what is free afterwards."""
    yield Request("DELETE", "/pools/{pool}")
    yield Request("GET", "/pools/{pool}/members")
    yield Request("DELETE", "/listeners/{listener0}")
    again = {"loadbalancer_id": "{root}", "protocol": "TCP", "protocol_port": 100, "name": "again"}
    yield Request("POST", "/listeners", {"listener": again})
    yield Request("GET", "/listeners?protocol_port=100")
    yield SETTLE
    yield Request("GET", "/listeners?protocol_port=100")
    yield Request("DELETE", "/loadbalancers/{root}")
    yield Request("DELETE", "/loadbalancers/{root}?cascade=true")
    yield Request("GET", "/loadbalancers/{root}/status")
    yield SETTLE
    yield Request("GET", "/loadbalancers/{root}")
    yield Request("GET", "/listeners?sort=name")
    yield Request("GET", "/loadbalancers?sort=created_at,name")
