"""What running processes cost: CPU time and memory, as the kernel counts them.

CPU is user and system time.  A process that ended and was waited for is counted with its parent, so
the sum over a family never falls.  What the kernel does on its own threads (taking a network
namespace apart, for instance) belongs to nobody and is not in it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")
KERNEL = ("Slab", "PageTables", "KernelStack", "Percpu", "VmallocUsed")
"""Fields of /proc/meminfo that hold what the kernel itself has taken."""


@dataclass(frozen=True)
class _Stat:
    pid: int
    parent: int
    own: float
    waited: float


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    user, system, waited_user, waited_system = (int(each) * _TICK for each in fields[11:15])
    return _Stat(pid, int(fields[1]), user + system, waited_user + waited_system)


def _stats() -> dict[int, _Stat]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid: found for pid in pids if (found := _stat(pid)) is not None}


def _below(stats: dict[int, _Stat], root: int) -> list[_Stat]:
    """Return the processes below `root`, without itself."""
    found: list[_Stat] = []
    level = {root}
    while level:
        below = [each for each in stats.values() if each.parent in level]
        found += below
        level = {each.pid for each in below}
    return found


def children(parent: int) -> list[int]:
    """Return the pids of a process's children."""
    return [each.pid for each in _stats().values() if each.parent == parent]


def family(root: int) -> list[int]:
    """Return the pids of a process and of everything below it."""
    return [root, *(each.pid for each in _below(_stats(), root))]


def family_cpu(root: int) -> float:
    """Return the CPU seconds of a process and of everything that runs or ran below it."""
    stats = _stats()
    every = [*([stats[root]] if root in stats else []), *_below(stats, root)]
    return sum(each.own + each.waited for each in every)


def installation_cpu(processes: dict[str, int]) -> dict[str, float]:
    """Return CPU seconds by process name; HAProxy, which the agent runs, has a name of its own."""
    stats = _stats()
    spent: dict[str, float] = {"haproxy": 0.0}
    for name, pid in processes.items():
        below = sum(each.own + each.waited for each in _below(stats, pid))
        own, waited = stats[pid].own, stats[pid].waited
        spent[name] = own + (0.0 if name == "agent" else below + waited)
        spent["haproxy"] += below + waited if name == "agent" else 0.0
    return spent


def difference(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    """Return what was added, by name."""
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


def pss(pid: int) -> int:
    """Return a process's share of memory in bytes: pages that n processes map count 1/n each."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def program(pid: int) -> str:
    """Return the name of the program of a process."""
    return Path(f"/proc/{pid}/comm").read_text().strip()


def kernel_memory() -> dict[str, int]:
    """Return what the kernel holds for itself, in bytes by kind, for the whole machine."""
    found: dict[str, int] = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in KERNEL:
            found[name] = int(rest.split()[0]) * 1024
    return found
