"""Lists: filters, tags, fields, sorting and paging (`spec/api-resources` §0.4)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from statera.api.settings import ApiSettings
from statera.store.tables.objects import load_balancer
from tests.api.harness import FOREIGN, PROJECT, SUBNET, UNKNOWN, Api, running_api

LISTS = (
    "/loadbalancers",
    "/listeners",
    "/pools",
    "/healthmonitors",
    "/pools/{pool}/members",
)


class World:
    """Four load balancers, and under the first one three listeners, pools, monitors, members."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.roots = [
            api.load_balancer(name=name, description=text, admin_state_up=up, tags=tags)["id"]
            for name, text, up, tags in (
                ("b", "x", True, ["red", "big"]),
                ("a", "x", False, ["red"]),
                ("d", None, True, ["big", ""]),
                ("c", "y", True, []),
            )
        ]
        root = self.roots[0]
        self.listeners = [
            api.listener(root, protocol_port=n, name=f"l{n}")["id"] for n in (1, 2, 3)
        ]
        self.pools = [api.pool(root, name=f"p{n}")["id"] for n in (1, 2, 3)]
        self.monitors = [
            api.monitor(pool, max_retries=n + 1)["id"] for n, pool in enumerate(self.pools)
        ]
        self.members = [
            api.member(self.pools[0], f"10.0.0.{n}", weight=n, monitor_port=n or None)["id"]
            for n in (0, 1, 2)
        ]

    def names(self, query: str) -> str:
        """Return the names of the load balancers that a query finds, in order."""
        return "".join(
            one["name"] for one in self.api.get(f"/loadbalancers?{query}")["loadbalancers"]
        )


@pytest.fixture(name="world", scope="module")
def world_fixture(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world; no test changes it."""
    with running_api(database_kind, tmp_path_factory.mktemp("lists"), ApiSettings()) as api:
        yield World(api)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sort=name&description=x", "ab"),
        ("sort=name&description=", "d"),
        ("sort=name&name=A", ""),
        ("sort=name&admin_state_up=true", "bcd"),
        ("sort=name&admin_state_up=F", "a"),
        ("sort=name&admin_state_up=perhaps", "a"),
        ("sort=name&enabled=0", "a"),
        ("sort=name&description=x&admin_state_up=on", "b"),
        ("sort=name&provisioning_status=PENDING_CREATE", "abcd"),
        ("sort=name&provisioning_status=ACTIVE", ""),
        ("sort=name&operating_status=OFFLINE", "abcd"),
        (f"sort=name&vip_subnet_id={SUBNET}", "abcd"),
        ("sort=name&topology=SINGLE", "abcd"),
        (f"vip_sg_ids={UNKNOWN}", ""),
        ("created_at=yesterday", ""),
        ("sort=name&created_at=2001-01-01T00:00:00", ""),
        ("sort=name&tags=red", "ab"),
        ("sort=name&tags=red,big", "b"),
        ("sort=name&tags=red&tags=big", "b"),
        ("sort=name&tags=", "d"),
        ("sort=name&tags-any=red,big", "abd"),
        ("sort=name&not-tags=red,big", "acd"),
        ("sort=name&not-tags-any=red,big", "c"),
        ("sort=name&tags=big&not-tags=red", "d"),
        ("sort=name:DESC", "dcba"),
        ("sort=description,name:desc", "dbac"),
        ("sort=description:desc,name", "cabd"),
        ("sort=admin_state_up,name", "abcd"),
        ("sort=provisioning_status,name", "abcd"),
        ("sort_key=name", "abcd"),
        ("sort_key=name&sort_dir=desc", "dcba"),
        ("sort_key=description,name&sort_dir=asc,desc", "dbac"),
        ("sort_key=description&sort_key=name", "dabc"),
        ("sort=name&sort_key=created_at&sort_dir=desc", "abcd"),
        ("", "badc"),
        ("sort=created_at:desc", "cdab"),
        ("sort=name&limit=2", "ab"),
        ("sort=name&limit=0", "abcd"),
        ("sort=name&limit=-5", "abcd"),
        ("sort=name&limit=infinite", "abcd"),
    ],
)
def test_load_balancers_found(world: World, query: str, expected: str) -> None:
    """Each letter is a load balancer."""
    assert world.names(query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("/listeners?loadbalancer_id={0}&sort=protocol_port:desc", "listeners:210"),
        ("/listeners?load_balancer_id={1}", "listeners:"),
        ("/listeners?protocol_port=2", "listeners:1"),
        ("/listeners?protocol_port=two", "listeners:"),
        ("/listeners?protocol_port=99999999999999999999", "listeners:"),
        ("/pools?loadbalancer_id={0}&name=p3", "pools:2"),
        ("/healthmonitors?pool_id={pool}", "monitors:0"),
        ("/healthmonitors?rise_threshold=2", "monitors:1"),
        ("/healthmonitors?fall_threshold=3&sort=max_retries:desc", "monitors:210"),
        ("/pools/{pool}/members?ip_address=10.0.0.1", "members:1"),
        ("/pools/{pool}/members?sort=monitor_port:desc", "members:210"),
        ("/pools/{pool}/members?sort=monitor_port", "members:012"),
        ("/pools/{pool}/members?project_id=project-a&weight=2", "members:2"),
    ],
)
def test_children_found(world: World, query: str, expected: str) -> None:
    """By their own and by internal names."""
    kind, _, places = expected.partition(":")
    known: list[str] = getattr(world, kind)
    url = query.replace("{pool}", world.pools[0]).replace("{0}", world.roots[0])
    page = world.api.get(url.replace("{1}", world.roots[1]))
    (found,) = (value for name, value in page.items() if not name.endswith("_links"))
    assert [one["id"] for one in found] == [known[int(place)] for place in places]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "bogus=1",
        "tenant_id=x",
        "name=a&name=b",
        "listener_id=x",
        "listeners=x",
        "additional_vips=x",
        "allowed_cidrs=x",
        "session_persistence=x",
        "with_count=true",
        "generation=1",
    ],
)
def test_filters_that_no_list_knows_are_400(world: World, path: str, query: str) -> None:
    """Unknown, repeated or about other objects."""
    result = world.api.call("GET", f"{path.format(pool=world.pools[0])}?{query}")
    text = "One or more arguments are either duplicate or invalid"
    assert (result.status_code, result.json["faultstring"]) == (400, text)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sort=bogus", "Supplied sort key 'bogus' is not valid."),
        ("sort=tags", "Supplied sort key 'tags' is not valid."),
        ("sort=a:b:c", "Supplied sort key 'a:b:c' is not valid."),
        ("sort=name:up", "Supplied sort direction 'up' is not valid."),
        ("sort_key=name&sort_dir=up", "Supplied sort direction 'up' is not valid."),
        ("limit=many", "Supplied pagination limit 'many' is not valid."),
        ("marker=x", "Supplied pagination marker 'x' is not valid."),
    ],
)
@pytest.mark.parametrize("path", LISTS)
def test_bad_paging_is_400_in_the_routing_envelope(
    world: World, path: str, query: str, text: str
) -> None:
    """For every collection."""
    result = world.api.call("GET", f"{path.format(pool=world.pools[0])}?{query}")
    assert result.status_code == 400
    assert result.json == {"code": 400, "title": "Bad Request", "description": text}


ORDERS = ["", "name", "description:desc,name", "admin_state_up:desc,description", "updated_at:desc"]


@pytest.mark.parametrize("sort", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pages_make_up_the_whole(world: World, sort: str, size: int) -> None:
    """Following `next` shows every object once, in order; nulls and ties included."""
    whole = world.names(f"sort={sort}")
    found, marker = "", ""
    for _ in range(10):
        page = world.api.get(f"/loadbalancers?sort={sort}&limit={size}{marker}")
        found += "".join(one["name"] for one in page["loadbalancers"])
        following = [one for one in page["loadbalancers_links"] if one["rel"] == "next"]
        if not following:
            break
        query = dict(parse_qsl(urlsplit(following[0]["href"]).query))
        assert query.keys() <= {"limit", "sort", "marker"}
        marker = f"&marker={query['marker']}"
    assert found == whole


@pytest.mark.parametrize("sort", ORDERS)
def test_page_reverse_takes_the_first_that_precede_the_marker(world: World, sort: str) -> None:
    """In the same order, not turned around."""
    whole = world.api.get(f"/loadbalancers?sort={sort}")["loadbalancers"]
    ids = [one["id"] for one in whole]
    for place, size in itertools.product(range(4), (1, 2)):
        query = f"sort={sort}&limit={size}&marker={ids[place]}&page_reverse=True"
        page = world.api.get(f"/loadbalancers?{query}")["loadbalancers"]
        assert [one["id"] for one in page] == ids[:place][:size]


def test_links_say_where_the_page_stands(world: World) -> None:
    """`previous` first and only after a marker; filters are not repeated."""
    first = world.api.get("/loadbalancers?limit=2&sort=name&admin_state_up=true&fields=name")
    base = "http://falconframework.org/v2.0/lbaas/loadbalancers"
    ids = {
        name: world.api.get(f"/loadbalancers?name={name}")["loadbalancers"][0]["id"]
        for name in "bcd"
    }
    following = {"rel": "next", "href": f"{base}?limit=2&sort=name&marker={ids['c']}"}
    assert first["loadbalancers_links"] == [following]
    second = world.api.get(f"/loadbalancers?limit=2&sort=name&marker={ids['c']}")
    href = f"{base}?limit=2&sort=name&marker={ids['d']}&page_reverse=True"
    assert second["loadbalancers_links"] == [{"rel": "previous", "href": href}]
    after = world.api.get(f"/loadbalancers?limit=2&sort=name&marker={ids['d']}")
    assert after == {"loadbalancers": [], "loadbalancers_links": []}


def test_without_a_limit_links_say_none(world: World) -> None:
    """`limit=None`, as clients have always seen it."""
    (link,) = world.api.get("/loadbalancers?limit=0")["loadbalancers_links"]
    assert "?limit=None&marker=" in link["href"]
    assert world.api.get("/loadbalancers")["loadbalancers_links"] == []


def test_fields_reduce_lists_and_objects(world: World) -> None:
    """Repeated keys; unknown ones are ignored; commas are no separators."""
    page = world.api.get("/loadbalancers?sort=name&limit=1&fields=name&fields=tags&fields=bogus")
    assert page["loadbalancers"] == [{"name": "a", "tags": ["red"]}]
    assert world.api.get("/listeners?limit=1&fields=id,name")["listeners"] == [{}]
    shown = world.api.get(f"/pools/{world.pools[0]}?fields=name&bogus=1")
    assert shown == {"pool": {"name": "p1"}}


@pytest.mark.parametrize("path", LISTS)
def test_a_page_is_a_fixed_number_of_statements(world: World, path: str) -> None:
    """However many objects and children it shows."""
    counts = []
    for limit in (1, 3):
        statements: list[str] = []

        def note(_c: Any, _u: Any, text: str, *_rest: Any, seen: list[str] = statements) -> None:
            if text.startswith("SELECT"):
                seen.append(text)

        event.listen(world.api.database.engine, "before_cursor_execute", note)
        try:
            world.api.get(f"{path.format(pool=world.pools[0])}?limit={limit}")
        finally:
            event.remove(world.api.database.engine, "before_cursor_execute", note)
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 3


@pytest.mark.parametrize("path", LISTS[:4])
def test_a_page_of_a_project_is_not_sorted(world: World, path: str) -> None:
    """An index holds a project's objects in the order of the list, however many there are."""
    engine = world.api.database.engine
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _u: Any, text: str, values: Any, *_rest: Any) -> None:
        if "LIMIT" in text:
            asked.append((text, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        world.api.get(f"{path}?limit=2")
    finally:
        event.remove(engine, "before_cursor_execute", note)
    ((text, values),) = asked
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
    assert "created_at_id" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


@pytest.mark.parametrize(
    ("caller", "query", "expected"),
    [
        (f"member@{PROJECT}", "", "own"),
        (f"reader@{PROJECT}", f"project_id={PROJECT}", "own"),
        ("admin@elsewhere", "", "own foreign"),
        ("admin", "", "own foreign"),
        ("admin@elsewhere", f"project_id={FOREIGN}", "foreign"),
        (f"member@{FOREIGN}", "", "foreign"),
        (f"member@{FOREIGN}", f"project_id={PROJECT}", None),
        ("member", "", None),
        (f"service@{PROJECT}", "", None),
        (f"nobody@{PROJECT}", "", None),
    ],
)
def test_who_sees_which_projects(api: Api, caller: str, query: str, expected: str | None) -> None:
    """Admins all, others their own; naming another project is 403."""
    for name, project in (("own", PROJECT), ("foreign", FOREIGN)):
        root = api.make(
            "/loadbalancers",
            "loadbalancer",
            {"vip_subnet_id": SUBNET, "name": name},
            as_=f"member@{project}",
        )
        api.make(
            "/pools",
            "pool",
            {
                "loadbalancer_id": root["id"],
                "name": name,
                "protocol": "TCP",
                "lb_algorithm": "SOURCE_IP",
            },
            as_=f"member@{project}",
        )
    for plural in ("loadbalancers", "pools"):
        result = api.call("GET", f"/{plural}?{query}", as_=caller)
        if expected is None:
            assert result.status_code == 403
        else:
            assert " ".join(one["name"] for one in result.json[plural]) == expected


def test_a_marker_of_another_project_is_none(api: Api) -> None:
    """Who may not see an object cannot learn its place either."""
    foreign = api.make(
        "/loadbalancers", "loadbalancer", {"vip_subnet_id": SUBNET}, as_=f"member@{FOREIGN}"
    )
    assert api.call("GET", f"/loadbalancers?marker={foreign['id']}").status_code == 400


def test_purged_and_reserved_rows_are_hidden(api: Api) -> None:
    """From lists, from shows, as markers, from writes."""
    gone, reserved, kept = (api.load_balancer()["id"] for _ in range(3))
    with api.database.engine.begin() as connection:
        c = load_balancer.c
        change = sa.update(load_balancer)
        connection.execute(change.where(c.id == gone).values(live=None, deleted_at=1.0))
        connection.execute(change.where(c.id == reserved).values(live=None, reserved_until=9e9))
    assert [one["id"] for one in api.get("/loadbalancers")["loadbalancers"]] == [kept]
    for hidden in (gone, reserved):
        assert api.call("GET", f"/loadbalancers/{hidden}").status_code == 404
        assert api.call("DELETE", f"/loadbalancers/{hidden}").status_code == 404
        assert api.call("GET", f"/loadbalancers?marker={hidden}").status_code == 400


class TestPageSize:
    """The installation bounds pages."""

    @pytest.fixture(name="settings")
    def settings_fixture(self) -> ApiSettings:
        """Set the option."""
        return ApiSettings(pagination_max_limit=2)

    @pytest.mark.parametrize(("query", "count"), [("", 2), ("limit=9", 2), ("limit=1", 1)])
    def test_pages_are_capped(self, api: Api, query: str, count: int) -> None:
        """Whatever limit is asked for."""
        for _ in range(3):
            api.load_balancer()
        assert len(api.get(f"/loadbalancers?{query}")["loadbalancers"]) == count


MANY = ",".join(f"w{number}" for number in range(3000))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/loadbalancers/%00", 400),
        ("/pools/a%00b/members", 400),
        ("/loadbalancers?tags=a%00b", 400),
        ("/loadbalancers?marker=%00", 400),
        ("/loadbalancers?project_id=%00", 400),
        ("/loadbalancers?name=%2500", 200),
        (f"/loadbalancers?tags={MANY}", 200),
        (f"/loadbalancers?not-tags={MANY}&tags-any={MANY}", 200),
        ("/healthmonitors?http_version=nan", 200),
        ("/healthmonitors?http_version=1e999", 200),
    ],
    ids=lambda value: str(value)[:40],
)
def test_no_url_is_too_much_for_a_database(api: Api, path: str, status: int) -> None:
    """NUL, very many words, numbers that are none."""
    api.load_balancer(tags=["w0"])
    assert api.call("GET", path, as_="admin@a").status_code == status


def test_tags_are_found_everywhere(api: Api) -> None:
    """All of them, each once, whatever else the object carries."""
    api.load_balancer(name="a", tags=["x", "y", "z"])
    api.load_balancer(name="b", tags=["x"])

    def names(query: str) -> list[str]:
        page = api.get(f"/loadbalancers?sort=name&{query}")
        return [one["name"] for one in page["loadbalancers"]]

    assert names("tags=x,y,x") == ["a"]
    assert names("tags=x&tags-any=y,z") == ["a"]
    assert names("not-tags=x,y") == ["b"]
    assert names("not-tags-any=y") == ["b"]
