"""How long until a change made through the API counts for traffic, and what changes cost clients.

Run as `python -m bench.members`.  A member added: from POST to the first request that it answers.
A weight (HAProxy's runtime API) and a listener's time-out (a reload): from PUT to ACTIVE.  Each
with a quiet data plane and under 32 busy keep-alive clients, whose failures are counted.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench import cost, tables
from tests.installation import Backend, Installation, installation
from tests.traffic import Tally, load
from tests.trees import http_tree

KINDS = ("member added", "weight changed", "reload")


@dataclass
class Sample:
    """Seconds of each change, CPU seconds of each of ours, and what clients saw meanwhile."""

    took: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)


@dataclass
class Scene:
    """One load balancer with two members, and a server that becomes the third."""

    here: Installation
    balancer: dict[str, Any]
    second: Backend
    third: Backend
    number: int = 0

    @property
    def pool(self) -> dict[str, Any]:
        """The pool, as it was created."""
        pool: dict[str, Any] = self.balancer["pools"][0]
        return pool

    def settled(self) -> None:
        """Wait until everything is in force, asking every 5 ms."""
        path = f"/loadbalancers/{self.balancer['id']}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.here.call("GET", path)["loadbalancer"]["provisioning_status"] == "ACTIVE":
                return
            time.sleep(0.005)
        raise SystemExit("the change is not in force after 30 s")

    def add(self) -> float:
        """Add a member; return seconds until it answered, and leave the pool as it was."""
        before = time.monotonic()
        body = {"member": self.third.member()}
        reply = self.here.call("POST", f"/pools/{self.pool['id']}/members", body)
        self._until_answers()
        took = time.monotonic() - before
        self.here.call("DELETE", f"/pools/{self.pool['id']}/members/{reply['member']['id']}")
        self.settled()
        return took

    def weigh(self) -> float:
        """Change a weight; return seconds until that is in force."""
        member = next(m for m in self.pool["members"] if m["name"] == self.second.name)
        path = f"/pools/{self.pool['id']}/members/{member['id']}"
        return self._put(path, {"member": {"weight": 2 + self.number % 7}})

    def reload(self) -> float:
        """Change a time-out of the listener; return seconds until that is in force."""
        path = f"/listeners/{self.balancer['listeners'][0]['id']}"
        return self._put(path, {"listener": {"timeout_client_data": 50_000 + self.number}})

    def _put(self, path: str, body: dict[str, Any]) -> float:
        self.number += 1
        before = time.monotonic()
        self.here.call("PUT", path, body)
        self.settled()
        return time.monotonic() - before

    def _until_answers(self) -> None:
        address, deadline = self.balancer["vip_address"], time.monotonic() + 30
        connection = http.client.HTTPConnection(address, 80, timeout=5)
        while time.monotonic() < deadline:
            connection.request("GET", "/")
            if connection.getresponse().read().decode().strip() == self.third.name:
                return
            time.sleep(0.002)
        raise SystemExit("the new member got no traffic in 30 s")


def run(scene: Scene, change: Callable[[], float], count: int, sample: Sample) -> None:
    """Make `count` changes, one after the other."""
    processes = scene.here.processes()
    before = cost.installation_cpu(processes)
    sample.took += [change() for _ in range(count)]
    spent = cost.difference(cost.installation_cpu(processes), before)
    del spent["api"]  # most of it is our asking for the status every 5 ms
    sample.spent.append(sum(spent.values()) / count)


def measure(turns: int, count: int) -> dict[tuple[str, bool], Sample]:
    """Take turns with every kind of change, quiet and busy."""
    samples = {(kind, busy): Sample() for busy in (False, True) for kind in KINDS}
    with scenery() as scene:
        changes = dict(zip(KINDS, (scene.add, scene.weigh, scene.reload), strict=True))
        for turn in range(turns):
            tables.note(f"turn {turn + 1} of {turns}")
            for (kind, busy), sample in samples.items():
                if not busy:
                    run(scene, changes[kind], count, sample)
                    continue
                with load(scene.balancer["vip_address"]) as tally:
                    run(scene, changes[kind], count, sample)
                sample.tallies.append(tally)
    return samples


@contextlib.contextmanager
def scenery() -> Iterator[Scene]:
    """Yield a load balancer that serves, in an installation of its own."""
    with installation() as here:
        network, subnet = here.network()
        backends = [Backend(here, network, f"m{number}") for number in range(3)]
        try:
            first, second, third = backends
            tree = http_tree(subnet, [first.member(), second.member()])
            made = here.call("POST", "/loadbalancers", tree)["loadbalancer"]
            here.settled(made["id"])
            scene = Scene(here, made, second, third)
            scene.add()  # the first one loads code
            yield scene
        finally:
            for backend in backends:
                backend.remove()


def main() -> None:
    """Measure and print."""
    quick = tables.quick(__doc__)
    machine = tables.machine()
    samples = measure(1, 5) if quick else measure(5, 20)
    print(machine + "\n")
    shown = tables.milliseconds
    rows = []
    for (kind, busy), sample in samples.items():
        requests = sum(tally.requests for tally in sample.tallies)
        failed = sum(len(tally.failures) for tally in sample.tallies)
        longest = max((tally.longest for tally in sample.tallies), default=0.0)
        rows.append(
            [
                f"{kind}, {'32 busy clients' if busy else 'quiet'}",
                len(sample.took),
                shown(tables.median(sample.took)),
                shown(tables.percentile(sample.took, 99)),
                "" if busy else shown(tables.median(sample.spent)),
                f"{failed} of {requests:,}" if busy else "",
                shown(longest) if busy else "",
            ]
        )
    tables.say(
        "From the call to traffic (member added) or ACTIVE (the others), ms",
        ["change", "n", "p50", "p99", "CPU each", "requests failed", "longest request"],
        rows,
        "CPU is that of controller, gateway, agent and HAProxy for one change (for a member added: "
        "and removed again); the API's is in the table of its calls. Under load it would be the "
        "load's.",
    )


if __name__ == "__main__":
    main()
