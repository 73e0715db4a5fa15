"""How long until a member added through the API receives traffic, and what changes cost clients.

Run as `python -m bench.members [count]`.  Reported, never asserted: wall milliseconds from POST of
the member to the first request that it answers, then failed requests of 32 keep-alive connections
over `count` changes of members (runtime API) and `count` changes that reload.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from tests.installation import Backend, Installation, eventually, installation
from tests.traffic import Tally, load
from tests.trees import http_tree


def addition(here: Installation, pool: str, backend: Backend, tally: Tally) -> float:
    """Add the member, wait until it answers, remove it; return the seconds it took."""
    before = tally.answers[backend.name]
    started = time.monotonic()
    reply = here.call("POST", f"/pools/{pool}/members", {"member": backend.member()})
    eventually("traffic on the new member", lambda: tally.answers[backend.name] > before)
    seconds = time.monotonic() - started
    here.call("DELETE", f"/pools/{pool}/members/{reply['member']['id']}")
    quiet(tally, backend.name)
    return seconds


def quiet(tally: Tally, name: str) -> None:
    """Wait until a member has had no request for a tenth of a second."""

    def still() -> bool:
        before = tally.answers[name]
        time.sleep(0.1)
        return tally.answers[name] == before

    eventually(f"no traffic on {name}", still)


def changes(
    here: Installation, load_balancer: str, count: int, change: Callable[[int], None]
) -> None:
    """Make `count` changes one after the other, each in force before the next."""
    for number in range(count):
        change(number)
        here.settled(load_balancer)


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with installation() as here:
        network, subnet = here.network()
        backends = [Backend(here, network, f"m{number}") for number in range(3)]
        try:
            measure(here, subnet, backends, count)
        finally:
            for backend in backends:
                backend.remove()


def measure(here: Installation, subnet: str, backends: list[Backend], count: int) -> None:
    """Run both measurements on one load balancer."""
    first, second, extra = backends
    tree = http_tree(subnet, [first.member(), second.member()])
    created = here.call("POST", "/loadbalancers", tree)["loadbalancer"]
    here.settled(created["id"])
    listener = created["listeners"][0]
    pool = created["pools"][0]
    member = next(m for m in pool["members"] if m["name"] == second.name)
    with load(created["vip_address"]) as tally:
        added = [addition(here, pool["id"], extra, tally) for _ in range(15)]
    print(
        f"member added -> first request: n={len(added)}"
        f" median={statistics.median(added) * 1000:.0f} ms max={max(added) * 1000:.0f} ms"
        f" failed={len(tally.failures)} of {tally.requests}"
    )

    def weigh(number: int) -> None:
        body = {"member": {"weight": 1 + number % 7}}
        here.call("PUT", f"/pools/{pool['id']}/members/{member['id']}", body)

    def reload(number: int) -> None:
        body = {"listener": {"timeout_client_data": 50_000 + number}}
        here.call("PUT", f"/listeners/{listener['id']}", body)

    for name, change in (("runtime changes", weigh), ("reloads", reload)):
        with load(created["vip_address"]) as tally:
            changes(here, created["id"], count, change)
        print(
            f"{count} {name}: failed={len(tally.failures)} of {tally.requests}"
            f" longest={tally.longest * 1000:.0f} ms {tally.failures[:3]}"
        )


if __name__ == "__main__":
    main()
