"""How long from POST of a fully populated load balancer to the first 200 through its VIP.

Run as `python -m bench.provision`: one at a time, ten at once, fifty at once, in turns.  A load
balancer has an HTTP listener, a pool with a monitor, and three members that answer.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench import cost, tables
from tests.installation import Backend, Installation, eventually, installation
from tests.trees import http_tree

NAMES = ("api", "controller", "gateway", "agent", "haproxy")


@dataclass
class Sample:
    """What a number of load balancers at once took: seconds, and CPU seconds for each of them."""

    replies: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    spent: dict[str, list[float]] = field(default_factory=dict)


async def first_answer(address: str, deadline: float) -> float:
    """Return the moment at which `GET /` on port 80 first answered 200."""
    while time.monotonic() < deadline:
        writer = None
        try:
            async with asyncio.timeout(0.2):
                reader, writer = await asyncio.open_connection(address, 80)
                writer.write(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                if (await reader.readline()).startswith(b"HTTP/1.1 200"):
                    return time.monotonic()
        except OSError:  # TimeoutError is one
            pass
        finally:
            if writer is not None:
                writer.close()
        await asyncio.sleep(0.005)
    raise SystemExit(f"no answer from {address}")


async def create(client: httpx.AsyncClient, body: dict[str, Any], sample: Sample) -> str:
    """Create one load balancer, wait until it serves, and return its id."""
    started = time.monotonic()
    reply = await client.post("/load-balancer/v2.0/lbaas/loadbalancers", json=body)
    replied = time.monotonic()
    made = reply.raise_for_status().json()["loadbalancer"]
    served = await first_answer(made["vip_address"], started + 60)
    sample.replies.append(replied - started)
    sample.served.append(served - started)
    return str(made["id"])


async def at_once(here: Installation, bodies: list[dict[str, Any]], sample: Sample) -> list[str]:
    """Create load balancers at the same moment and return their ids."""
    headers = {"X-Auth-Token": here.http.headers["X-Auth-Token"]}
    async with httpx.AsyncClient(base_url=here.url, headers=headers, timeout=60) as client:
        return list(await asyncio.gather(*(create(client, body, sample) for body in bodies)))


def round_of(here: Installation, tree: dict[str, Any], count: int, sample: Sample) -> None:
    """Create `count` load balancers at once, let them settle, and remove them."""
    processes = here.processes()
    before = cost.installation_cpu(processes)
    ids = asyncio.run(at_once(here, [tree] * count, sample))
    for each in ids:
        here.settled(each, 60)
    for name, seconds in cost.difference(cost.installation_cpu(processes), before).items():
        sample.spent.setdefault(name, []).append(seconds / count)
    for each in ids:
        here.call("DELETE", f"/loadbalancers/{each}?cascade=true")
    eventually("deletion", lambda: not here.call("GET", "/loadbalancers")["loadbalancers"], 120)


def measure(turns: int, rounds: dict[int, int]) -> dict[int, Sample]:
    """Take turns; in each, `rounds` says how often so many are created at once."""
    samples = {count: Sample() for count in rounds}
    with installation() as here:
        network, subnet = here.network()
        backends = [Backend(here, network, f"b{number}") for number in range(3)]
        try:
            tree = http_tree(subnet, [backend.member() for backend in backends])
            round_of(here, tree, 1, Sample())  # the first one loads code
            for turn in range(turns):
                tables.note(f"turn {turn + 1} of {turns}")
                for count, times in rounds.items():
                    for _ in range(times):
                        round_of(here, tree, count, samples[count])
        finally:
            for backend in backends:
                backend.remove()
    return samples


def main() -> None:
    """Measure and print."""
    quick = tables.quick(__doc__)
    machine = tables.machine()
    samples = measure(1, {1: 3, 10: 2}) if quick else measure(5, {1: 6, 10: 4, 50: 1})
    print(machine + "\n")
    shown = tables.milliseconds
    tables.say(
        "From POST to the first 200, ms",
        ["at once", "n", "reply p50", "first 200 p50", "p99", "longest"],
        [
            [
                count,
                len(sample.served),
                shown(tables.median(sample.replies)),
                shown(tables.median(sample.served)),
                shown(tables.percentile(sample.served, 99)),
                shown(max(sample.served)),
            ]
            for count, sample in samples.items()
        ],
    )
    tables.say(
        "CPU for each load balancer, until it is ACTIVE, ms",
        ["at once", *NAMES, "sum"],
        [
            [count, *(shown(each) for each in costs), shown(sum(costs))]
            for count, sample in samples.items()
            if (costs := [tables.median(sample.spent[name]) for name in NAMES])
        ],
    )


if __name__ == "__main__":
    main()
