"""What one more load balancer costs while nothing happens, measured over a hundred of them.

Run as `python -m bench.idle`.  Memory is the proportional set size of every process in the load
balancers' namespaces, and what the kernel itself has taken: the growth of Slab, Percpu,
VmallocUsed, PageTables and KernelStack of /proc/meminfo, up while they are made and down while they
are removed.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench import cost, tables
from statera.agent.names import Names
from tests.installation import Backend, Installation, eventually, installation
from tests.trees import http_tree

WATCHED = 20.0
"""Seconds of idling over which CPU is counted."""


class Bench:
    """An installation that gets `count` load balancers and loses them again."""

    def __init__(self, here: Installation, count: int) -> None:
        self._here = here
        self._count = count
        self._ids: list[str] = []
        self.processes: Counter[str] = Counter()
        self.memory: dict[str, list[float]] = {}
        self.cpu: dict[str, float] = {}

    def round(self, tree: dict[str, Any]) -> None:
        """Make them, look, remove them, and look again."""
        before, python = cost.kernel_memory(), self._python()
        self._make(tree)
        full = cost.kernel_memory()
        pids = _inside(self._here)
        self.processes = Counter(cost.program(pid) for pid in pids)
        self._note("processes in the namespaces (PSS)", sum(cost.pss(pid) for pid in pids))
        self._note("our four processes and the supervisor (PSS)", self._python() - python)
        self.cpu = self._idle()
        self._remove()
        after = cost.kernel_memory()
        for name, value in full.items():
            self._note(name, value - before[name])
            self._note(name, value - after[name])

    def per_load_balancer(self, name: str) -> float:
        """Return bytes for each load balancer: the median of what was seen."""
        return tables.median(self.memory[name]) / self._count

    def _note(self, name: str, size: float) -> None:
        self.memory.setdefault(name, []).append(size)

    def _make(self, tree: dict[str, Any]) -> None:
        for _ in range(self._count):
            self._ids.append(self._here.call("POST", "/loadbalancers", tree)["loadbalancer"]["id"])
        for each in self._ids:
            self._here.settled(each, 120)
        eventually("every load balancer ONLINE", lambda: not self._not_online(), 60)

    def _not_online(self) -> list[str]:
        found = self._here.call("GET", "/loadbalancers")["loadbalancers"]
        return [each["id"] for each in found if each["operating_status"] != "ONLINE"]

    def _all_gone(self) -> bool:
        return not self._here.call("GET", "/loadbalancers")["loadbalancers"]

    def _remove(self) -> None:
        for each in self._ids:
            self._here.call("DELETE", f"/loadbalancers/{each}?cascade=true")
        self._ids.clear()
        eventually("deletion", self._all_gone, 180)
        time.sleep(2)  # the kernel takes namespaces apart on its own thread

    def _idle(self) -> dict[str, float]:
        processes = self._here.processes()
        before = cost.installation_cpu(processes)
        time.sleep(WATCHED)
        spent = cost.difference(cost.installation_cpu(processes), before)
        return {name: seconds / WATCHED for name, seconds in spent.items()}

    def _python(self) -> int:
        mine = _inside(self._here)
        supervisor = _status(self._here)["supervisor"]["pid"]
        return sum(cost.pss(pid) for pid in cost.family(supervisor) if pid not in mine)


def _status(here: Installation) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(here.statera("status", "--json").stdout)
    return status


def _inside(here: Installation) -> set[int]:
    """Return the processes in the namespaces of this installation's amphorae."""
    names = Names(_status(here)["installation"])
    folder = Path("/run/netns")
    spaces = {path.stat().st_ino for path in folder.iterdir() if names.is_namespace(path.name)}
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "ns" / "net").stat().st_ino in spaces:
                    found.add(int(process.name))
            except OSError:
                continue
    return found


def main() -> None:
    """Measure and print."""
    quick = tables.quick(__doc__)
    machine = tables.machine()
    rounds, count = (1, 10) if quick else (3, 100)
    with installation() as here:
        network, subnet = here.network("10.231.0.0/24")
        backends = [Backend(here, network, f"i{number}") for number in range(3)]
        try:
            tree = http_tree(subnet, [backend.member() for backend in backends])
            pool = tree["loadbalancer"]["listeners"][0]["default_pool"]
            # Patient checks: on a busy machine a hundred load balancers must not flap.
            pool["healthmonitor"] |= {"delay": 5, "timeout": 4, "max_retries_down": 5}
            warm = Bench(here, 5)
            warm.round(tree)
            bench = Bench(here, count)
            for turn in range(rounds):
                tables.note(f"turn {turn + 1} of {rounds}")
                bench.round(tree)
        finally:
            for backend in backends:
                backend.remove()
    print(machine + "\n")
    report(bench, rounds, count)


def report(bench: Bench, rounds: int, count: int) -> None:
    """Print what was found."""
    kernel = [name for name in bench.memory if name in cost.KERNEL]
    ours, daemons = (name for name in bench.memory if name not in cost.KERNEL)
    costs = {name: bench.per_load_balancer(name) for name in (ours, *kernel)}
    found = ", ".join(f"{number} {name}" for name, number in sorted(bench.processes.items()))
    spent = {name: seconds * 1000 / count for name, seconds in bench.cpu.items()}
    tables.say(
        f"Memory of one more idle load balancer, over {count} of them, MiB",
        ["what", "MiB"],
        [
            *([name, tables.mebibytes(size)] for name, size in costs.items()),
            ["**sum**", f"**{tables.mebibytes(sum(costs.values()))}**"],
            [f"beside it: {daemons}", tables.mebibytes(bench.per_load_balancer(daemons))],
        ],
        f"Processes in the {count} namespaces: {found}. Each has one HTTP listener and three "
        f"members that are checked every 5 s. Medians over {rounds} rounds of making and removing "
        "all of them; the kernel's figures are the whole machine's, so what others do meanwhile is "
        "noise in them.",
    )
    tables.say(
        f"CPU of one idle load balancer, ms in a second, over {WATCHED:.0f} s",
        list(spent),
        [[f"{each:.2f}" for each in spent.values()]],
    )


if __name__ == "__main__":
    main()
