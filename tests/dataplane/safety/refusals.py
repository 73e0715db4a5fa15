"""The table of refusals: what is refused, what else is wished with it, what is in force then.

Each line is tried on a real HAProxy (`test_refusals`); the page `docs/refusals.md` is made of it:

    python -m tests.dataplane.safety.refusals

What is in force before: port 80 leads to the members m1 and m2, and everybody may come in; port 81
leads to m3, and only clients in 10.2.0.0/16 may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from statera.spec.document import AmphoraSpec, Listener, Member, Monitor, Persistence, Pool

PAGE = Path(__file__).parents[3] / "docs" / "refusals.md"
replace = msgspec.structs.replace

INSIDE, OUTSIDE = "10.2.0.1", "10.3.0.1"
NEAR = "10.2.0.0/16"
TOO_LONG = 99_999_999_999
"""More milliseconds than HAProxy can count."""

Wish = Callable[[AmphoraSpec], AmphoraSpec]
Culprit = tuple[str, str]


def member(number: int, **changes: Any) -> Member:
    """Return member `number`."""
    return Member(id=f"m{number}", address=f"10.1.0.{number}", port=80, **changes)


def monitor(**changes: Any) -> Monitor:
    """Return a monitor that every backend but a dead one passes."""
    values: dict[str, Any] = {"id": "hm", "type": "HTTP", "delay": 1, "timeout": 1}
    return Monitor(**(values | {"rise": 1, "fall": 1} | changes))


GOOD = AmphoraSpec(
    amphora_id="amphora",
    load_balancer_id="lb",
    project_id="project",
    epoch=1,
    revision=1,
    generation=1,
    vips=("10.0.0.5",),
    listeners=(
        Listener(id="web", protocol="HTTP", port=80, default_pool_id="pool"),
        Listener(
            id="inner", protocol="HTTP", port=81, default_pool_id="other", allowed_cidrs=(NEAR,)
        ),
    ),
    pools=(
        Pool(id="pool", protocol="HTTP", algorithm="ROUND_ROBIN", members=(member(1), member(2))),
        Pool(id="other", protocol="HTTP", algorithm="ROUND_ROBIN", members=(member(3),)),
    ),
)


def web(**changes: Any) -> Wish:
    """Wish for another form of the listener on port 80."""
    return lambda spec: replace(
        spec, listeners=(replace(spec.listeners[0], **changes), spec.listeners[1])
    )


def inner(**changes: Any) -> Wish:
    """Wish for another form of the listener on port 81."""
    return lambda spec: replace(
        spec, listeners=(spec.listeners[0], replace(spec.listeners[1], **changes))
    )


def one_more(**changes: Any) -> Wish:
    """Wish for one more listener, on port 82."""
    values: dict[str, Any] = {
        "id": "new",
        "protocol": "HTTP",
        "port": 82,
        "default_pool_id": "pool",
    }
    listener = Listener(**(values | changes))
    return lambda spec: replace(spec, listeners=(*spec.listeners, listener))


def pool(*members: Member, **changes: Any) -> Wish:
    """Wish for another form of the pool behind port 80; members unless given as they are."""

    def wish(spec: AmphoraSpec) -> AmphoraSpec:
        chosen = members or spec.pools[0].members
        return replace(
            spec, pools=(replace(spec.pools[0], members=chosen, **changes), spec.pools[1])
        )

    return wish


def vips(*addresses: str) -> Wish:
    """Wish for other VIPs."""
    return lambda spec: replace(spec, vips=addresses)


def both(*wishes: Wish) -> Wish:
    """Wish for several things in one document."""

    def wish(spec: AmphoraSpec) -> AmphoraSpec:
        for each in wishes:
            spec = each(spec)
        return spec

    return wish


BAD_COOKIE = Persistence(type="APP_COOKIE", cookie_name="a b")
BAD_CODES = monitor(expected_codes="500-200")
DEAD = "m2 is dead, and the monitor has said so"


@dataclass(frozen=True)
class Case:
    """One line: `then` maps a port to who is served by whom, `before` is set up first."""

    refused: str
    culprit: Culprit | None
    """None: no object is to blame, and the agent tries again."""
    wish: Wish
    then: dict[int, str] = field(default_factory=dict)
    also: str = ""
    before: Wish | None = None
    said: str = ""
    """What stood there before, if not the usual."""
    first: bool = False
    """Nothing was in force before."""
    dead: bool = False
    taken: int | None = None
    """A port that somebody else holds."""

    @property
    def expected(self) -> dict[int, str]:
        """Return what is in force then, on every port."""
        return {80: "m1 m2", 81: f"m3 for {NEAR}", 82: "closed"} | self.then


LISTENER, INNER, NEW = ("listener", "web"), ("listener", "inner"), ("listener", "new")
POOL, M2, M4 = ("pool", "pool"), ("member", "m2"), ("member", "m4")
MONITOR, ROOT = ("healthmonitor", "hm"), ("loadbalancer", "lb")

CASES = (
    Case("a new listener", NEW, one_more(timeout_client_data=TOO_LONG)),
    Case(
        "a new listener with an allowed CIDR that is none",
        NEW,
        one_more(allowed_cidrs=(NEAR, "x")),
    ),
    Case("a new listener: its port is taken", NEW, one_more(), taken=82),
    Case("a listener", LISTENER, web(timeout_client_data=TOO_LONG)),
    Case(
        "a listener: a time-out of its members",
        LISTENER,
        web(timeout_member_data=TOO_LONG),
    ),
    Case(
        "a listener",
        LISTENER,
        web(timeout_client_data=TOO_LONG, allowed_cidrs=(NEAR,)),
        {80: "closed"},
        also=f"it lets in {NEAR} alone",
    ),
    Case(
        "a listener",
        INNER,
        inner(timeout_client_data=TOO_LONG, allowed_cidrs=("10.2.7.0/24",)),
        {81: "closed"},
        also="it lets in fewer",
    ),
    Case(
        "a listener",
        INNER,
        inner(timeout_client_data=TOO_LONG, allowed_cidrs=()),
        also="it lets in everybody",
    ),
    Case(
        "a listener: a restriction that cannot be carried out",
        LISTENER,
        web(allowed_cidrs=("x",)),
        {80: "closed"},
    ),
    Case(
        "a listener",
        LISTENER,
        web(timeout_client_data=TOO_LONG, connection_limit=0),
        {80: "nobody"},
        also="it admits no connection",
    ),
    Case(
        "a listener",
        LISTENER,
        web(timeout_client_data=TOO_LONG, port=82),
        {80: "closed"},
        also="it moves to port 82",
    ),
    Case(
        "a listener",
        LISTENER,
        web(timeout_client_data=TOO_LONG, default_pool_id="other"),
        {80: "m3"},
        also="it leads to another pool",
    ),
    Case(
        "a listener",
        LISTENER,
        web(timeout_client_data=TOO_LONG, default_pool_id=None),
        {80: "503"},
        also="it leads to no pool",
    ),
    Case(
        "a listener",
        LISTENER,
        both(web(timeout_client_data=TOO_LONG), inner(enabled=False)),
        {81: "closed"},
        also="another listener is disabled",
    ),
    Case(
        "a new pool",
        POOL,
        pool(persistence=BAD_COOKIE),
        {80: "503", 81: "closed"},
        first=True,
        also="nothing was in force before; port 81 is disabled",
        before=inner(enabled=False),
    ),
    Case("a pool", POOL, pool(persistence=BAD_COOKIE)),
    Case("a pool: its algorithm", POOL, pool(algorithm="DICE")),
    Case(
        "a pool",
        POOL,
        pool(member(1), member(2, enabled=False), persistence=BAD_COOKIE),
        {80: "m1"},
        also="a member is disabled",
    ),
    Case(
        "a pool",
        POOL,
        pool(member(2), persistence=BAD_COOKIE),
        {80: "m2"},
        also="a member is removed",
    ),
    Case(
        "a pool",
        POOL,
        both(pool(persistence=BAD_COOKIE), web(allowed_cidrs=(NEAR,))),
        {80: f"m1 m2 for {NEAR}"},
        also="its listener lets in fewer",
    ),
    Case("a new member", M4, pool(member(1), member(2), member(4, weight=999))),
    Case(
        "a new member: an address that is none",
        M4,
        pool(member(1), member(2), replace(member(4), address="unix@/run/x")),
    ),
    Case("a member", M2, pool(member(1), member(2, weight=999))),
    Case(
        "a member",
        M2,
        pool(member(1), member(2, weight=999, enabled=False)),
        {80: "m1"},
        also="it is disabled",
    ),
    Case(
        "a member",
        M2,
        pool(member(1), member(2, weight=0, monitor_address="x")),
        {80: "m1"},
        also="its weight becomes 0",
    ),
    Case(
        "a member",
        M2,
        pool(member(1), member(2, weight=999, backup=True)),
        {80: "m1"},
        also="it becomes a backup",
    ),
    Case(
        "a member",
        M2,
        pool(member(1, enabled=False), member(2, weight=999)),
        {80: "m2"},
        also="another member is disabled",
    ),
    Case("a new health monitor", MONITOR, pool(monitor=BAD_CODES)),
    Case(
        "a new health monitor: an interval that HAProxy cannot count",
        MONITOR,
        pool(monitor=monitor(delay=TOO_LONG)),
    ),
    Case(
        "a new health monitor",
        MONITOR,
        pool(member(1), member(2, enabled=False), monitor=BAD_CODES),
        {80: "m1"},
        also="a member is disabled",
    ),
    Case(
        "a health monitor",
        MONITOR,
        pool(monitor=BAD_CODES),
        {80: "m1"},
        said=DEAD,
        before=pool(monitor=monitor()),
        dead=True,
    ),
    Case(
        "a health monitor",
        MONITOR,
        both(pool(monitor=BAD_CODES), inner(allowed_cidrs=("10.2.7.0/24",))),
        {80: "m1", 81: "nobody"},
        said=DEAD,
        also="port 81 lets in 10.2.7.0/24 alone",
        before=pool(monitor=monitor()),
        dead=True,
    ),
    Case(
        "a load balancer: its only VIP is no address",
        ROOT,
        vips("x"),
        {80: "closed", 81: "closed"},
        first=True,
        also="nothing was in force before",
    ),
    Case("a load balancer: one more VIP that is no address", ROOT, vips("10.0.0.5", "x")),
    Case(
        "a load balancer: one more VIP that is no address",
        ROOT,
        both(vips("10.0.0.5", "x"), web(allowed_cidrs=(NEAR,))),
        {80: f"m1 m2 for {NEAR}"},
        also="a listener lets in fewer",
    ),
    Case(
        "nobody: a VIP that the machine lacks at the moment",
        None,
        vips("10.0.0.5", "10.0.0.99"),
    ),
)

HEAD = """# What is in force when HAProxy refuses

A document that HAProxy refuses never replaces a working one. The refused object is found by the
line that HAProxy complains about; it alone carries a fault (`ERROR`, with HAProxy's words). Its
last good form takes its place, or, lacking one, nothing, and never so that more traffic passes than
was wished. Everything else in the same document comes into force.

Every line of this table is tried on a real HAProxy by `tests/dataplane/safety`, which also writes
this page. Before each wish port 80 leads to the members m1 and m2 and everybody may come in; port
81 leads to m3 and lets in 10.2.0.0/16 alone; nothing listens on port 82. "Closed" means that
nothing listens, "nobody" that every connection is refused.

| refused | wished in the same document | fault on | port 80 | port 81 | port 82 |
|---|---|---|---|---|---|
"""
TAIL = """
A refused monitor takes no member out of service: a monitor protects from bad answers and grants
nobody anything, while dropping the members would turn a typing error into an outage. A VIP that the
machine lacks is nobody's fault: the document as a whole waits, and the agent tries again.
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(f"{line(each)}\n" for each in CASES) + TAIL


def line(case: Case) -> str:
    """Return the line of a case."""
    also = "; ".join(each for each in (case.said, case.also) if each) or "nothing"
    culprit = " ".join(case.culprit) if case.culprit else "nobody"
    ports = (case.expected[port] for port in (80, 81, 82))
    return f"| {case.refused} | {also} | {culprit} | {' | '.join(ports)} |"


if __name__ == "__main__":
    PAGE.write_text(page())
