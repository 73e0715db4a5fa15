"""What HAProxy says, as reports; limits; states for the next start."""

from __future__ import annotations

import pytest

from statera.agent.haproxy import limits
from statera.agent.haproxy.states import HEADER, state_file
from statera.agent.haproxy.statistics import Reading, Traffic, pool_reports, read
from statera.lb.errors import Bug
from statera.render.routes import Backend, Routes
from statera.spec.document import AmphoraSpec, Listener, Member, Monitor, Pool

_STAT = """\
# pxname,svname,scur,slim,stot,bin,bout,ereq,status,last_chk,
L,FRONTEND,3,3,7,100,200,1,OPEN,,
p.http,m1,0,,1,2,3,,UP 1/3,"Layer7 check, passed",
p.http,m2,0,,1,2,3,,no check,,
p.http,BACKEND,0,,2,4,6,,UP,,

"""


def _plan(*members: Member, monitor: str | None = "TCP") -> Routes:
    checks = monitor and Monitor(id="h", type=monitor, delay=1, timeout=1, rise=1, fall=1)
    pool = Pool(
        id="p", protocol="HTTP", algorithm="ROUND_ROBIN", monitor=checks or None, members=members
    )
    return Routes((), {}, (Backend("p.http", pool, "http", 1, 1),))


def test_read() -> None:
    """Frontends carry traffic, servers and backends their status; quoted commas are no columns."""
    reading = read(_STAT)
    assert reading.frontends == {"L": Traffic(100, 200, 7, 1, 3, 3)}
    assert reading.servers == {("p.http", "m1"): "UP 1/3", ("p.http", "m2"): "no check"}
    assert reading.accepting == {"L"}
    assert read(_STAT.replace("OPEN", "STOP")).accepting == set()
    assert reading.backends == {"p.http": "UP"}
    assert not reading.idle
    with pytest.raises(Bug):
        read("Unknown command\n")


@pytest.mark.parametrize(
    ("shown", "monitor", "changes", "verdict", "expected"),
    [
        ("UP", "TCP", {}, True, "UP"),
        ("UP 1/3", "TCP", {}, True, "UP"),
        ("DOWN 1/2", "TCP", {}, True, "DOWN"),
        ("no check", None, {}, True, "NO_CHECK"),
        ("no check", "PING", {}, True, "UP"),
        ("no check", "PING", {}, False, "DOWN"),
        ("no check", None, {"weight": 0}, True, "DRAIN"),
        ("DRAIN", "TCP", {"weight": 0}, True, "DRAIN"),
        ("DOWN", "TCP", {"weight": 0}, True, "DOWN"),
        ("MAINT", "TCP", {"enabled": False}, True, "MAINT"),
        ("MAINT", "TCP", {}, True, "MAINT"),
        (None, "TCP", {}, True, "DOWN"),
    ],
)
def test_member_status(
    shown: str | None, monitor: str | None, changes: dict[str, object], verdict: bool, expected: str
) -> None:
    """Each form in which HAProxy shows a server maps to one status."""
    member = Member(id="m1", address="10.1.0.1", port=80, **changes)  # type: ignore[arg-type]
    servers = {} if shown is None else {("p.http", "m1"): shown}
    reading = Reading(backends={"p.http": "UP"}, servers=servers)
    (report,) = pool_reports(_plan(member, monitor=monitor), reading, {("p", "m1"): verdict})
    assert report.status == "UP"
    assert [one.status for one in report.members] == [expected]


def test_state_file_holds_the_dead_only() -> None:
    """Health is carried over; a disabled member, or one nobody checks, is not left dead."""
    dead = Member(id="m1", address="10.1.0.1", port=80, weight=7)
    off = Member(id="m2", address="10.1.0.2", port=80, enabled=False)
    reading = Reading(servers={("p.http", "m1"): "DOWN", ("p.http", "m2"): "DOWN"})
    (line,) = state_file(_plan(dead, off), reading, {}).removeprefix(HEADER).splitlines()
    assert line.split()[1:9] == ["p.http", "1", "m1", "10.1.0.1", "0", "0", "7", "7"]
    assert state_file(_plan(dead, monitor=None), reading, {}) == HEADER
    assert state_file(_plan(dead, monitor="PING"), reading, {}) == HEADER
    verdicts = {("p", "m1"): False}
    assert " m1 " in state_file(_plan(dead, monitor="PING"), Reading(), verdicts)


@pytest.mark.parametrize(("hard", "expected"), [(20_000, 7_794), (1_000, 194), (100, 100)])
def test_connections_fit_descriptors(hard: int, expected: int) -> None:
    """Two and a half descriptors a connection, a reserve, and a floor that always starts."""
    spec = AmphoraSpec(
        amphora_id="amphora",
        load_balancer_id="lb",
        project_id="project",
        epoch=1,
        revision=1,
        generation=1,
        vips=("10.0.0.5",),
        listeners=(Listener(id="L", protocol="TCP", port=1),),
    )
    assert limits.connections(hard, spec) == expected
