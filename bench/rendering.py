"""What the pure core costs: building a document, holding it against the last one, rendering it.

Run as `python -m bench.rendering`.  Every call runs on one thread and waits for nothing, so its
wall time on an idle machine is its CPU time; what is measured is CPU time.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from bench import tables
from statera.lb.health_monitor import HealthMonitor
from statera.lb.listener import Listener
from statera.lb.load_balancer import LoadBalancer
from statera.lb.member import Member
from statera.lb.pool import Pool
from statera.plan.desired import Desired
from statera.plan.document import build
from statera.plan.observation import ALLOCATED, Amphora, Observation
from statera.render.change import change
from statera.render.haproxy import render
from statera.render.options import Options
from statera.spec.document import AmphoraSpec

SIZES = ((1, 1, 3), (10, 10, 100), (100, 100, 1000), (1000, 1000, 10_000))
"""Listeners, pools, members in all."""
OPTIONS = Options(stats_socket="/run/s", state_file="/run/states", chroot="/run/root")


def desired(listeners: int, pools: int, members: int) -> Desired:
    """Return a load balancer of that size, with a monitor on each pool."""
    rows = [_pool() for _ in range(pools)]
    return Desired(
        load_balancer=LoadBalancer(
            id=_id(), project_id="p", vip_address="10.0.0.5", vip_subnet_id="s", generation=1
        ),
        listeners=tuple(
            Listener(
                id=_id(),
                protocol="HTTP",
                protocol_port=1 + number,
                default_pool_id=rows[number % pools].id,
            )
            for number in range(listeners)
        ),
        pools=tuple(rows),
        members=tuple(_member(number, rows[number % pools].id) for number in range(members)),
        monitors=tuple(
            HealthMonitor(id=_id(), pool_id=row.id, type="HTTP", delay=5, timeout=3, max_retries=2)
            for row in rows
        ),
    )


def _id() -> str:
    return str(uuid.uuid4())


def _pool() -> Pool:
    return Pool(id=_id(), protocol="HTTP", lb_algorithm="ROUND_ROBIN")


def _member(number: int, pool_id: str) -> Member:
    address = f"10.1.{number // 250}.{1 + number % 250}"
    return Member(id=_id(), pool_id=pool_id, address=address, protocol_port=8080)


@dataclass(frozen=True)
class Case:
    """Everything that is done with a load balancer of one size, and what came out."""

    size: tuple[int, int, int]
    calls: dict[str, Callable[[], Any]]
    document: int
    text: int


def case(size: tuple[int, int, int]) -> Case:
    """Return the calls to measure for one size."""
    wish = desired(*size)
    amphora, observation = Amphora(_id(), "STANDALONE", ALLOCATED), Observation(_id())
    spec = build(wish, amphora, observation)
    heavier = msgspec.structs.replace(spec.pools[0].members[0], weight=2)
    pool = msgspec.structs.replace(spec.pools[0], members=(heavier, *spec.pools[0].members[1:]))
    weighed = msgspec.structs.replace(spec, pools=(pool, *spec.pools[1:]))
    body = msgspec.msgpack.encode(spec)
    return Case(
        size,
        {
            "build": lambda: build(wish, amphora, observation),
            "encode": lambda: msgspec.msgpack.encode(spec),
            "decode": lambda: msgspec.msgpack.decode(body, type=AmphoraSpec),
            "compare": lambda: change(spec, weighed),
            "render": lambda: render(spec, OPTIONS),
        },
        len(body),
        len(render(spec, OPTIONS).text),
    )


def spent(call: Callable[[], Any], seconds: float) -> float:
    """Return the CPU seconds of one call, measured over at least `seconds`."""
    began, calls = time.thread_time(), 0
    while (took := time.thread_time() - began) < seconds:
        call()
        calls += 1
    return took / calls


def main() -> None:
    """Measure and print."""
    quick = tables.quick(__doc__)
    machine = tables.machine()
    rounds, seconds = (1, 0.01) if quick else (7, 0.1)
    cases = [case(size) for size in SIZES]
    found: dict[tuple[tuple[int, int, int], str], list[float]] = {}
    for turn in range(rounds):
        tables.note(f"turn {turn + 1} of {rounds}")
        for each in cases:
            for name, call in each.calls.items():
                found.setdefault((each.size, name), []).append(spent(call, seconds))
    print(machine + "\n")
    names = tuple(cases[0].calls)
    tables.say(
        "CPU of one call, ms",
        ["listeners/pools/members", *names, "document, KiB", "haproxy.cfg, KiB"],
        [
            [
                "/".join(str(number) for number in each.size),
                *(tables.milliseconds(tables.median(found[each.size, name])) for name in names),
                f"{each.document / 1024:.1f}",
                f"{each.text / 1024:.1f}",
            ]
            for each in cases
        ],
        "`build` makes the document from the rows (controller), `compare` finds that one member's "
        "weight changed and `render` writes `haproxy.cfg` (agent). A runtime change needs both, "
        "because the file on disk follows. Medians of interleaved rounds.",
    )


if __name__ == "__main__":
    main()
