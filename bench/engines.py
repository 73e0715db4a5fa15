"""One HAProxy for a load balancer against one for each of its listeners (decision 0001).

Run as `python -m bench.engines`.  Both run under the agent's own engine, from documents that our
renderer turns into configurations: one document of N listeners, or N documents of one listener, all
of them with the same pool of three checked members.  A third HAProxy is the members, and one `wrk`
for each listener, up to ten, is the clients; all of it in one namespace, without the API.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bench import cost, tables
from statera.agent.haproxy.engine import Engine
from statera.agent.haproxy.settings import HaproxySettings
from statera.agent.haproxy.statistics import UP
from statera.agent.namespace import Namespace
from statera.spec.document import AmphoraSpec, Listener, Member, Monitor, Pool
from tests.installation import run

SIZES = (1, 10, 50)
SHAPES = ("one process", "one per listener")
VIP = "10.0.0.5"
MEMBERS = tuple(f"10.1.0.{number}" for number in (1, 2, 3))
FIRST_PORT = 8001
CLIENTS = 10
CONNECTIONS = 40
SERVER = f"""\
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend members
    {"".join(f"bind {address}:80{chr(10)}    " for address in MEMBERS)}
    http-request return status 200 content-type text/plain string "hello"
"""


@dataclass
class Sample:
    """Of each round: bytes, requests per second, CPU seconds of a request, seconds of reloads."""

    memory: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    reload_one: list[float] = field(default_factory=list)
    reload_all: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)


def document(number: int, ports: range) -> AmphoraSpec:
    """Return the document of a process that serves `ports`."""
    monitor = Monitor(id="monitor", type="HTTP", delay=1, timeout=1, rise=1, fall=1)
    members = tuple(
        Member(id=f"m{index}", address=address, port=80) for index, address in enumerate(MEMBERS)
    )
    pool = Pool(
        id="pool", protocol="HTTP", algorithm="ROUND_ROBIN", monitor=monitor, members=members
    )
    listeners = tuple(
        Listener(id=f"l{port}", protocol="HTTP", port=port, default_pool_id="pool")
        for port in ports
    )
    return AmphoraSpec(
        amphora_id=f"a{number}",
        load_balancer_id="lb",
        project_id="project",
        epoch=1,
        revision=1,
        generation=1,
        vips=(VIP,),
        listeners=listeners,
        pools=(pool,),
    )


def documents(shape: str, listeners: int) -> list[AmphoraSpec]:
    """Return the documents of all processes of one shape."""
    ports = range(FIRST_PORT, FIRST_PORT + listeners)
    if shape == SHAPES[0]:
        return [document(0, ports)]
    return [document(number, ports[number : number + 1]) for number in range(listeners)]


class Bench:
    """The processes of one shape, in a namespace in which the members answer."""

    def __init__(self, space: Namespace, directory: Path, specs: list[AmphoraSpec]) -> None:
        self._specs = specs
        self._space = space
        self._engines = [
            Engine(spec.amphora_id, directory / spec.amphora_id, space, HaproxySettings())
            for spec in specs
        ]
        self._number = 0

    async def start(self) -> None:
        """Start every process, and wait until each member is known to be up."""
        for engine, spec in zip(self._engines, self._specs, strict=True):
            await engine.apply(spec)
        await self._healthy()

    async def stop(self) -> None:
        """End every process."""
        for engine in self._engines:
            await engine.stop()

    async def measure(self, sample: Sample, seconds: int) -> None:
        """Take each measure once."""
        sample.memory.append(sum(cost.pss(pid) for pid in self._pids()))
        before = self._cpu()
        await asyncio.sleep(seconds)
        sample.checks.append((self._cpu() - before) / seconds)
        before = self._cpu()
        requests = await asyncio.to_thread(self._load, seconds)
        sample.spent.append((self._cpu() - before) / requests)
        sample.rates.append(requests / seconds)
        sample.reload_one.append(await self._timed(self._change(1)))
        await self._left()
        sample.reload_all.append(await self._timed(self._change(len(self._engines))))
        await self._left()
        await self._healthy()

    async def _timed(self, work: Awaitable[None]) -> float:
        began = time.monotonic()
        await work
        return time.monotonic() - began

    async def _change(self, processes: int) -> None:
        """Change a time-out of the first listener, or of every listener that there is."""
        self._number += 1
        changed = list(self._specs)
        for index in range(processes):
            whole = processes > 1 or len(self._specs) == 1
            listeners = tuple(
                msgspec.structs.replace(each, timeout_client_data=50_000 + self._number)
                for each in self._specs[index].listeners[: None if whole else 1]
            )
            rest = self._specs[index].listeners[len(listeners) :]
            changed[index] = msgspec.structs.replace(
                self._specs[index], listeners=(*listeners, *rest)
            )
        await asyncio.gather(
            *(self._engines[index].apply(changed[index]) for index in range(processes))
        )
        self._specs = changed

    async def _left(self) -> None:
        """Wait until the processes that were replaced are gone."""
        async with asyncio.timeout(60):
            while len(self._pids()) > len(self._engines):
                await asyncio.sleep(0.02)

    async def _healthy(self) -> None:
        async with asyncio.timeout(60):
            for engine in self._engines:
                while not await _up(engine):
                    await asyncio.sleep(0.05)

    def _pids(self) -> list[int]:
        found = []
        for pid in cost.children(os.getpid()):
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                if command.startswith(b"haproxy\0-db\0"):
                    found.append(pid)
        return found

    def _cpu(self) -> float:
        return sum(cost.family_cpu(pid) for pid in self._pids())

    def _load(self, seconds: int) -> int:
        """Keep clients busy on up to ten listeners; return how many requests were answered."""
        ports = [each.port for spec in self._specs for each in spec.listeners]
        chosen = ports[:: max(1, len(ports) // CLIENTS)][:CLIENTS]
        each = str(CONNECTIONS // len(chosen))
        command = ["wrk", "-t1", f"-c{each}", f"-d{seconds}s"]
        clients = self._space.call(
            lambda: [
                subprocess.Popen(
                    [*command, f"http://{VIP}:{port}/"], stdout=subprocess.PIPE, text=True
                )
                for port in chosen
            ]
        )
        said = [client.communicate()[0] for client in clients]
        return sum(int(re.findall(r"(\d+) requests in", text)[0]) for text in said)


async def _up(engine: Engine) -> bool:
    state = await engine.observe()
    return all(member.status == UP for pool in state.pools for member in pool.members)


@contextlib.contextmanager
def scenery() -> Iterator[tuple[Namespace, Path]]:
    """Yield a namespace with the VIP and members that answer, and a directory."""
    space = Namespace(f"stbench-{uuid.uuid4().hex[:8]}")
    with tempfile.TemporaryDirectory(prefix="st") as folder:
        space.create()
        members = None
        try:
            run("ip", "-n", space.name, "link", "set", "lo", "up")
            for address in (VIP, *MEMBERS):
                run("ip", "-n", space.name, "address", "add", f"{address}/32", "dev", "lo")
            file = Path(folder) / "members.cfg"
            file.write_text(SERVER)
            command = ["haproxy", "-f", str(file), "-db"]
            members = space.call(lambda: subprocess.Popen(command))
            yield space, Path(folder)
        finally:
            if members is not None:
                members.kill()
                members.wait()
            space.remove()


@contextlib.asynccontextmanager
async def running(
    space: Namespace, directory: Path, specs: list[AmphoraSpec]
) -> AsyncIterator[Bench]:
    """Yield processes that serve."""
    bench = Bench(space, directory, specs)
    try:
        await bench.start()
        yield bench
    finally:
        await bench.stop()


async def measure(rounds: int, seconds: int) -> dict[tuple[int, str], Sample]:
    """Measure every size and shape in turns."""
    samples = {(size, shape): Sample() for size in SIZES for shape in SHAPES}
    with scenery() as (space, folder):
        for turn in range(rounds):
            tables.note(f"turn {turn + 1} of {rounds}")
            for (size, shape), sample in samples.items():
                directory = folder / f"{turn}-{size}-{SHAPES.index(shape)}"
                directory.mkdir()
                async with running(space, directory, documents(shape, size)) as bench:
                    await bench.measure(sample, seconds)
    return samples


COLUMNS: tuple[tuple[str, Callable[[Sample], str]], ...] = (
    ("memory, MiB", lambda sample: tables.mebibytes(tables.median(sample.memory))),
    ("requests/s", lambda sample: f"{tables.median(sample.rates):,.0f}"),
    ("CPU a request, µs", lambda sample: f"{tables.median(sample.spent) * 1e6:.1f}"),
    ("reload of one listener, ms", lambda s: tables.milliseconds(tables.median(s.reload_one))),
    ("of every listener, ms", lambda s: tables.milliseconds(tables.median(s.reload_all))),
    ("idle CPU, ms/s", lambda sample: f"{tables.median(sample.checks) * 1000:.1f}"),
)


def main() -> None:
    """Measure and print."""
    quick = tables.quick(__doc__)
    machine = tables.machine()
    rounds, seconds = (1, 1) if quick else (5, 4)
    samples = asyncio.run(measure(rounds, seconds))
    print(machine + "\n")
    tables.say(
        "One HAProxy for a load balancer against one for each of its listeners",
        ["listeners", "processes", *(name for name, _ in COLUMNS)],
        [
            [size, shape, *(show(sample) for _, show in COLUMNS)]
            for (size, shape), sample in samples.items()
        ],
        f"Medians of {rounds} interleaved rounds. Memory is PSS. {CONNECTIONS} keep-alive "
        f"connections in all, on up to {CLIENTS} listeners; clients and members share the cores, "
        "so requests/s compare shapes and are no ceiling. A reload lasts until the successor "
        "serves, as the engine's caller sees it. Idle CPU is mostly health checks, once a second "
        "for each member and process.",
    )


if __name__ == "__main__":
    main()
