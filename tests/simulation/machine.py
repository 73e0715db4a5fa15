"""A model of a machine: bridges, namespaces with their addresses, HAProxy, and a disk.

The agent above it is the real one.  A crash of the agent leaves everything here as it is; a reboot
leaves the disk alone.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from statera.agent.announce import Announcement
from statera.agent.haproxy import refusal
from statera.agent.names import Names
from statera.lb.errors import Final, Retryable
from statera.render.writer import Owner
from statera.spec.document import AmphoraSpec, NetworkSpec
from statera.spec.report import Counters, Fault, ListenerReport, MemberReport, PoolReport
from tests.simulation.world import World

T = TypeVar("T")

REFUSED = 13
"""A client timeout of a listener, or a weight of a member, that the model's HAProxy refuses."""


@dataclass
class Space:
    """A network namespace; `engine` is what the HAProxy in it follows, None while there is none."""

    name: str
    number: int = 0
    owner: str = ""
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Port id -> addresses."""
    engine: AmphoraSpec | None = None

    def call(self, work: Callable[[], T]) -> T:
        """Run `work` inside."""
        return work()


class Machine:
    """Implements `agent.host.Host`."""

    def __init__(self, world: World, name: str, disk: Path) -> None:
        self.world = world
        self.name = name
        self.disk = disk
        self.names = Names("sim")
        self._made = 0
        self.spaces: dict[str, Space] = {}
        self.bridges: dict[str, NetworkSpec] = {}
        self.engines: dict[str, Haproxy] = {}
        self.trouble = 0.0
        """Chance that the kernel refuses something."""
        self.applied: set[tuple[str, int, int]] = set()
        """(amphora id, epoch, revision) of every document that was ever made true."""

    def reboot(self) -> None:
        """Lose everything but the disk."""
        self.spaces.clear()
        self.bridges.clear()
        self.world.dirty = True

    def space(self, amphora_id: str) -> Space:
        """Return the namespace, or where it would be."""
        return self.spaces.get(amphora_id) or Space(f"a-{amphora_id[:8]}")

    def inode(self, amphora_id: str) -> int | None:
        """Return what tells the namespace from every other."""
        space = self.spaces.get(amphora_id)
        return None if space is None else space.number

    def links(self) -> frozenset[str]:
        """Return the names of bridges and of the machine's ends of links."""
        inside = {self.names.port(port) for space in self.spaces.values() for port in space.links}
        return frozenset(inside | {self.names.bridge(each) for each in self.bridges})

    def prepare(self, amphora_id: str) -> None:
        """Make the namespace."""
        self._work("prepare")
        if amphora_id not in self.spaces:
            self._made += 1
            self.spaces[amphora_id] = Space(f"a-{amphora_id[:8]}", number=self._made)
        space = self.spaces[amphora_id]
        if space.owner not in {"", amphora_id}:
            raise Final("taken")
        self._changed(f"space {amphora_id}")
        self._work("prepare")
        space.owner = amphora_id

    def plug(self, spec: AmphoraSpec) -> list[Announcement]:
        """Give the amphora its links, one after the other."""
        news = []
        for interface in spec.interfaces:
            self._work("plug")
            if interface.network_id not in self.bridges:
                raise Retryable(f"The network {interface.network_id} is not on this machine yet.")
            space = self._there(spec.amphora_id)
            addresses = tuple(each.ip for each in interface.addresses)
            if space.links.get(interface.port_id) != addresses:
                space.links[interface.port_id] = addresses
                news.append(Announcement("eth0", interface.mac, ()))
                self._changed(f"link {interface.port_id} {addresses}")
        space = self._there(spec.amphora_id)
        wanted = {each.port_id for each in spec.interfaces}
        for port_id in [each for each in space.links if each not in wanted]:
            del space.links[port_id]
        return news

    async def announce(self, amphora_id: str, announcements: Sequence[Announcement]) -> None:
        """Take as long as it takes."""
        del amphora_id, announcements
        await asyncio.sleep(0.6)

    def remove(self, amphora_id: str, engine: Path) -> bool:
        """Remove the namespace with its processes."""
        space = self.spaces.get(amphora_id)
        if space is None:
            return engine.exists()
        self._work("remove")
        space.engine = None
        self._work("remove")
        self.spaces.pop(amphora_id, None)
        self._changed(f"space gone {amphora_id}")
        return True

    def converge_bridge(self, spec: NetworkSpec) -> bool:
        """Make the bridge."""
        self._work("bridge")
        new = spec.network_id not in self.bridges
        self.bridges[spec.network_id] = spec
        return new

    def remove_bridge(self, network_id: str) -> None:
        """Remove the bridge."""
        self._work("bridge")
        self.bridges.pop(network_id, None)

    def end_strays(self, engines: Path) -> int:
        """Find none: the model has no process without a namespace."""
        del engines
        return 0

    def ranges(self) -> tuple[str, ...]:
        """Use no range."""
        return ()

    def make_engine(self, amphora_id: str, directory: Path, space: object) -> Haproxy:
        """Return the engine of an amphora."""
        del space
        engine = self.engines[amphora_id] = Haproxy(self, amphora_id, directory)
        return engine

    def kill_engine(self, amphora_id: str) -> None:
        """Let HAProxy die; the agent notices, if it lives."""
        self.spaces[amphora_id].engine = None
        self.world.dirty = True
        engine = self.engines.get(amphora_id)
        if engine is not None:
            engine.died()

    def _there(self, amphora_id: str) -> Space:
        if amphora_id not in self.spaces:
            raise Retryable("The network namespace is gone.")
        return self.spaces[amphora_id]

    def _work(self, what: str) -> None:
        """Take a moment, and perhaps fail."""
        if self.world.loop.in_thread():
            self.world.loop.pause(self.world.random.expovariate(1000.0))
        if self.trouble and self.world.random.random() < self.trouble:
            self.world.note(f"kernel refuses {what}", count="kernel errors")
            raise OSError(12, "Cannot allocate memory")

    def _changed(self, what: str) -> None:
        self.world.note(f"{self.name} {what}")
        self.world.dirty = True


class State(msgspec.Struct, frozen=True):
    """Implements `agent.engine.EngineState`."""

    serving: bool
    listeners: tuple[ListenerReport, ...] = ()
    pools: tuple[PoolReport, ...] = ()


class Haproxy:
    """Implements `agent.engine.Engine`: last good configuration, refusals, a note on disk."""

    def __init__(self, machine: Machine, amphora_id: str, directory: Path) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._machine = machine
        self._id = amphora_id
        self._note = directory / "accepted"
        self._accepted: AmphoraSpec | None = None
        self._lock = asyncio.Lock()
        self._context = contextvars.copy_context()
        self._restarting: asyncio.Task[None] | None = None

    async def adopt(self, spec_in_force: AmphoraSpec | None, /) -> None:
        """Go on with what runs; start what was accepted if nothing does."""
        async with self._lock:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            noted = None
            if self._note.exists():
                noted = msgspec.msgpack.decode(self._note.read_bytes(), type=AmphoraSpec)
            self._accepted = noted or spec_in_force
            await self._pause()
            if self._accepted is not None and self._running() is None:
                self._run(self._accepted)

    async def apply(self, spec: AmphoraSpec, /) -> tuple[Fault, ...]:
        """Bring `spec` into force but for what is refused."""
        return await asyncio.shield(asyncio.ensure_future(self._apply(spec)))

    async def observe(self) -> State:
        """Say what runs."""
        running = self._running()
        if running is None:
            return State(serving=False)
        listeners = tuple(
            ListenerReport(id=each.id, status="OPEN", counters=Counters(epoch=1))
            for each in running.listeners
        )
        pools = tuple(
            PoolReport(
                id=pool.id,
                status="UP",
                members=tuple(MemberReport(id=each.id, status="UP") for each in pool.members),
            )
            for pool in running.pools
        )
        return State(serving=True, listeners=listeners, pools=pools)

    async def detach(self) -> None:
        """Let go."""

    async def stop(self) -> None:
        """End the process."""
        async with self._lock:
            if self._restarting is not None:
                self._restarting.cancel()
            await self._pause()
            self._accepted = None
            space = self._machine.spaces.get(self._id)
            if space is not None:
                space.engine = None

    def died(self) -> None:
        """Notice the death of the process."""
        if self._restarting is None or self._restarting.done():
            loop = self._machine.world.loop
            self._restarting = self._context.run(loop.create_task, self._restart())

    async def _restart(self) -> None:
        self.on_change()
        await self._pause()
        async with self._lock:
            if self._accepted is not None and self._running() is None:
                self._run(self._accepted)
        self.on_change()

    async def _apply(self, spec: AmphoraSpec) -> tuple[Fault, ...]:
        async with self._lock:
            await self._pause()
            candidate, faults = spec, dict[Owner, str]()
            while culprits := _refused(candidate):
                for owner in culprits:
                    again = owner in faults
                    faults.setdefault(owner, "refused by the model")
                    candidate = refusal.without(candidate, owner, self._accepted, last=again)
            self._run(candidate)
            self._machine.applied.add((spec.amphora_id, spec.epoch, spec.revision))
            self._accepted = candidate
            await self._pause()
            self._note.write_bytes(msgspec.msgpack.encode(candidate))
            await self._pause()
            return tuple(
                Fault(object_type=kind, object_id=key, text=text)
                for (kind, key), text in faults.items()
            )

    def _running(self) -> AmphoraSpec | None:
        space = self._machine.spaces.get(self._id)
        return space.engine if space else None

    def _run(self, spec: AmphoraSpec) -> None:
        space = self._machine.spaces.get(self._id)
        if space is None:
            raise Retryable("The network namespace is gone.")
        space.engine = spec
        self._machine.world.note(f"{self._machine.name} engine {self._id} {spec.revision}")
        self._machine.world.dirty = True

    async def _pause(self) -> None:
        await asyncio.sleep(self._machine.world.random.expovariate(50.0))


def _refused(spec: AmphoraSpec) -> list[Owner]:
    listeners = [
        Owner("listener", each.id) for each in spec.listeners if each.timeout_client_data == REFUSED
    ]
    members = [
        Owner("member", each.id)
        for pool in spec.pools
        for each in pool.members
        if each.weight == REFUSED
    ]
    return listeners + members
