"""The agent's process: settings, restoring from disk, the stream, and a plain end.

Ending it leaves the data plane running: HAProxy, namespaces and bridges belong to the machine, and
the next agent takes them over.  What removes them is a retire document, or `removal`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from statera.agent.amphora import Surroundings
from statera.agent.convergence import Pace
from statera.agent.disk import Disk
from statera.agent.engine import MakeEngine
from statera.agent.haproxy.engine import Engine
from statera.agent.haproxy.settings import HaproxySettings
from statera.agent.host import Host
from statera.agent.linux import LinuxHost
from statera.agent.machine import Changes, Machine
from statera.agent.names import Names
from statera.agent.space import Space
from statera.agent.stream import Dial, Stream, StreamPace, unix_dial
from statera.lb.errors import Retryable
from statera.service.settings import option
from statera.spec import abilities, wire

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgentSettings:
    """What steers an agent.  Times are seconds."""

    state_dir: Path = option(  # noqa: RUF009
        Path("/var/lib/statera/agent"),
        "Where the agent keeps its documents and the engines' files; survives a reboot.",
    )
    installation: str = option(
        "main",
        "Short id (one to four of a-z, 0-9) in the name of everything made on the machine, so "
        "that two installations can share it.",
    )
    gateway_socket: Path = option(  # noqa: RUF009
        Path("/run/statera/gateway.sock"), "Unix socket of the gateway on this machine."
    )
    machine_id: str = option(
        "", "Id of this machine (a UUID); empty: one is made at the first start and kept."
    )
    report_interval: float = option(
        10.0, "Longest time between two full reports; the gateway may ask for a shorter one.", min=1
    )
    observe_interval: float = option(
        1.0,
        "Time between two looks at an engine: a member that fails is reported within it.  Many "
        "amphorae make it longer by themselves, so that looking stays cheap.",
        min=0.1,
    )
    keepalive: float = option(
        5.0, "Time between two pings on the stream; a dead one is noticed after twice that.", min=1
    )
    parallel: int = option(
        8, "How many amphorae and networks are worked on at once; they share the machine.", min=1
    )
    attempt_timeout: float = option(
        60.0, "How long one attempt for one amphora may take; a stuck one must not hold a place."
    )
    retry_first: float = option(0.2, "Pause after the first failed attempt; it doubles.")
    retry_longest: float = option(30.0, "Longest pause between two attempts that fail.")
    resync_interval: float = option(
        300.0, "How often something that is right is looked at again; a look costs milliseconds."
    )


def main(settings: AgentSettings, haproxy: HaproxySettings) -> None:
    """Run the agent until SIGTERM or SIGINT."""

    # Each engine costs a few descriptors, and 1024, the usual soft limit, is for older programs.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def supervised() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run(settings, haproxy, stop)

    asyncio.run(supervised())


async def run(settings: AgentSettings, haproxy: HaproxySettings, stop: asyncio.Event) -> None:
    """Be the agent until `stop` is set; the data plane stays.

    Raises `Retryable` if another agent works on the same state directory.
    """
    names = Names(settings.installation)
    disk = Disk(settings.state_dir)
    with locked(settings.state_dir):

        def make_engine(amphora_id: str, directory: Path, space: Space) -> Engine:
            return Engine(amphora_id, directory, space, haproxy)

        dial = unix_dial(settings.gateway_socket, settings.keepalive)
        parts = Parts(names, LinuxHost(names), disk, make_engine, dial, _abilities(haproxy))
        async with _threads(2 * settings.parallel):
            await serve(settings, parts, stop)


@dataclass(frozen=True)
class Parts:
    """What an agent works with: its machine, its disk, its engines, and how it dials a gateway."""

    names: Names
    host: Host
    disk: Disk
    make_engine: MakeEngine
    dial: Dial
    abilities: tuple[str, ...]


async def serve(settings: AgentSettings, parts: Parts, stop: asyncio.Event) -> None:
    """Make true what is on disk and what gateways say, until `stop` is set."""
    changes = Changes()
    machine = Machine(_surroundings(settings, parts, changes), changes, settings.observe_interval)
    machine_id = settings.machine_id or parts.disk.machine_id()
    LOG.info("agent.started machine=%s abilities=%s", machine_id, ",".join(parts.abilities))

    async def introduce() -> wire.Hello:
        return await machine.hello(machine_id, parts.abilities)

    pace = StreamPace(longest_report_interval=settings.report_interval)
    try:
        await machine.restore()
        await _until(stop, Stream(parts.dial, machine, introduce, pace), machine)
    finally:
        await machine.leave()
    LOG.info("agent.stopped machine=%s", machine_id)


@contextlib.asynccontextmanager
async def _threads(count: int) -> AsyncIterator[None]:
    """Have so many threads for work that blocks, and wait for what they still do at the end.

    More than a few would only wait for the kernel's lock.  The agent's lock must outlive them: the
    next agent would work beside them.
    """
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(count, thread_name_prefix="work"))
    try:
        yield
    finally:
        await loop.shutdown_default_executor()


@contextlib.contextmanager
def locked(state_dir: Path) -> Iterator[None]:
    """Hold the agent's lock; it goes with the process.  Raises `Retryable` if another holds it."""
    number = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(number)
        raise Retryable(f"Another agent works in {state_dir}.") from error
    try:
        yield
    finally:
        os.close(number)


def _surroundings(settings: AgentSettings, parts: Parts, changes: Changes) -> Surroundings:
    return Surroundings(
        names=parts.names,
        host=parts.host,
        disk=parts.disk,
        make_engine=parts.make_engine,
        pace=Pace(
            first=settings.retry_first,
            longest=settings.retry_longest,
            resync=settings.resync_interval,
        ),
        patience=settings.attempt_timeout,
        slots=asyncio.Semaphore(settings.parallel),
        changed=changes.note,
    )


async def _until(stop: asyncio.Event, stream: Stream, machine: Machine) -> None:
    """Run until `stop`; what dies before that ends the agent, and the supervisor starts another."""
    working = [asyncio.create_task(stream.run()), asyncio.create_task(machine.observe())]
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait([waiting, *working], return_when=asyncio.FIRST_COMPLETED)
    for task in [waiting, *working]:
        task.cancel()
    outcomes = await asyncio.gather(*working, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def _abilities(haproxy: HaproxySettings) -> tuple[str, ...]:
    """Return what this machine can do; without its engine it can do nothing."""
    if shutil.which(haproxy.binary) is None:
        return ()
    return tuple(sorted(abilities.ALL))
