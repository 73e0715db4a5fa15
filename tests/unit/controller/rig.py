"""A controller, a gateway and an agent in one process, around one database."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, unix_connect

from statera.cloud.machines import MachinesCompute
from statera.controller import daemon as controller
from statera.controller.acting import Checkpoint, Edges
from statera.controller.settings import ControllerSettings
from statera.edges.network.noop import NoopNetworks
from statera.edges.network.protocol import Networks, Port
from statera.gateway import daemon as gateway
from statera.gateway.settings import GatewaySettings
from statera.lb.caller import Caller
from statera.service.wake import Wakes
from statera.spec import wire
from statera.spec.abilities import ALL
from statera.spec.document import AmphoraSpec
from statera.spec.report import (
    AmphoraReport,
    Counters,
    Fault,
    ListenerReport,
    MemberReport,
    PoolReport,
)
from statera.store.database import Database
from statera.store.schema import metadata
from statera.store.tables import objects
from tests.installation import eventually
from tests.unit.store import wishes

FAST = ControllerSettings(lease_seconds=2.0, poll_interval=0.2, max_backoff=1.0)


class Loop:
    """A coroutine on a loop and a thread of its own."""

    def __init__(self, main: Callable[[asyncio.Event], Any]) -> None:
        self._ready = threading.Event()
        self._main = main
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        self._ready.wait()

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._main(self._stop)

    def end(self) -> None:
        """Stop it and wait for it."""
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()


@dataclass
class Agent:
    """Obeys every document at once; `refused` object ids are reported as final faults."""

    socket: Path
    machine_id: str = "machine-1"
    refused: set[str] = field(default_factory=set)
    held: dict[str, AmphoraSpec | tuple[int, int]] = field(default_factory=dict)
    bytes_in: int = 0
    members: str = "UP"
    quiet: bool = False
    """Whether it keeps what it has done to itself."""
    connection: ClientConnection | None = None

    async def main(self, stop: asyncio.Event) -> None:
        """Dial, and dial again, until the end."""
        task = asyncio.create_task(self._dial())
        await stop.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _dial(self) -> None:
        while True:
            with contextlib.suppress(OSError, Exception):
                async with unix_connect(str(self.socket), "ws://gateway/", compression=None) as one:
                    self.connection = one
                    await self._talk(one)
            await asyncio.sleep(0.02)

    async def _talk(self, connection: ClientConnection) -> None:
        held = tuple(
            wire.Held(id=key, epoch=1, revision=_revision(d)) for key, d in self.held.items()
        )
        hello = wire.Hello(
            machine_id=self.machine_id,
            host="here",
            spec_version=1,
            abilities=tuple(ALL),
            held=held,
        )
        await connection.send(wire.encode(hello))
        assert isinstance(await _receive(connection), wire.Welcome)
        await self.report(list(self.held))
        while True:
            message = await _receive(connection)
            if isinstance(message, wire.Document):
                self.held[message.spec.amphora_id] = message.spec
                await self.report([message.spec.amphora_id])
            elif isinstance(message, wire.Retire):
                self.held[message.amphora_id] = (message.epoch, message.revision)
                await self.report([message.amphora_id])

    async def report(self, ids: list[str], *foreign: AmphoraReport) -> None:
        """Say what is true of amphorae."""
        assert self.connection is not None
        if self.quiet:
            return
        reports = tuple(self._state(each) for each in ids)
        await self.connection.send(wire.encode(wire.Report(amphorae=(*reports, *foreign))))

    def _state(self, amphora_id: str) -> AmphoraReport:
        held = self.held[amphora_id]
        if isinstance(held, tuple):
            epoch, revision = held
            return AmphoraReport(
                amphora_id=amphora_id, epoch=epoch, revision=revision, generation=0, retired=True
            )
        served = [each for each in held.listeners if each.id not in self.refused]
        faults = [
            Fault(object_type="listener", object_id=each.id, text="the engine refuses it")
            for each in held.listeners
            if each.id in self.refused
        ]
        counters = Counters(epoch=1, bytes_in=self.bytes_in)
        return AmphoraReport(
            amphora_id=amphora_id,
            epoch=held.epoch,
            revision=held.revision,
            generation=held.generation,
            serving=True,
            faults=tuple(faults),
            listeners=tuple(
                ListenerReport(id=each.id, status="OPEN", counters=counters) for each in served
            ),
            pools=tuple(
                PoolReport(
                    id=each.id,
                    status="UP",
                    members=tuple(MemberReport(id=m.id, status=self.members) for m in each.members),
                )
                for each in held.pools
            ),
        )


def _revision(held: AmphoraSpec | tuple[int, int]) -> int:
    return held.revision if isinstance(held, AmphoraSpec) else held[1]


async def _receive(connection: ClientConnection) -> wire.FromGateway:
    frame = await connection.recv()
    assert isinstance(frame, bytes)
    return wire.decode_from_gateway(frame)


class Forgetful(NoopNetworks):
    """The network service that pretends, where some ports were taken away."""

    def __init__(self) -> None:
        self.gone = set[str]()

    def port(self, port_id: str, caller: Caller | None = None) -> Port | None:
        """Return the port, unless it is gone."""
        return None if port_id in self.gone else super().port(port_id, caller)


def _file(directory: Path) -> Database:
    made = Database(f"sqlite:///{directory / 'statera.db'}", durable=False)
    metadata.create_all(made.engine)
    return made


class Rig:
    """Everything around one database, by default an SQLite file."""

    def __init__(
        self, directory: Path, database: Database | None = None, networks: Networks | None = None
    ) -> None:
        self.database = database or _file(directory)
        self.wakes = Wakes(directory / "wake")
        self.settings = GatewaySettings(
            socket=str(directory / "gateway.sock"), poll_interval=0.2, flush_interval=0.1
        )
        self.networks = Forgetful()
        edges = networks or self.networks
        self.edges = Edges(self.database, edges, MachinesCompute(self.database), self.wakes)
        self.agent = Agent(Path(self.settings.socket))
        self._running: dict[str, Callable[[], None]] = {}

    def start_gateway(self) -> None:
        """Start a gateway."""
        loop = Loop(lambda stop: gateway.run(self.database, self.wakes, self.settings, stop))
        self._running["gateway"] = loop.end

    def start_agent(self) -> None:
        """Start the agent, which remembers what it held."""
        self.agent_loop = Loop(self.agent.main)
        self._running["agent"] = self.agent_loop.end

    def say(self) -> None:
        """Have the agent report everything that it holds."""
        told = self.agent.report(list(self.agent.held))
        asyncio.run_coroutine_threadsafe(told, self.agent_loop.loop).result(10)

    def start_controller(self, checkpoint: Checkpoint | None = None) -> None:
        """Start a controller; `checkpoint` may raise to play a crash."""
        stop = threading.Event()
        thread = threading.Thread(
            target=controller.run, args=(self.edges, FAST, stop, checkpoint), daemon=True
        )
        thread.start()

        def end() -> None:
            stop.set()
            thread.join(20)
            assert not thread.is_alive()

        self._running["controller"] = end

    def start(self) -> None:
        """Start everything."""
        self.start_gateway()
        self.start_agent()
        self.start_controller()

    def stop(self, name: str) -> None:
        """Stop one part."""
        self._running.pop(name)()

    def close(self) -> None:
        """Stop whatever runs."""
        for name in ("controller", "agent", "gateway"):
            if name in self._running:
                self.stop(name)
        self.database.close()

    def wake(self) -> None:
        """Say that there is work, as the API does after a write."""
        self.wakes.send("work")

    def row(self, table: Any, object_id: str) -> Any:
        """Return a row."""
        return wishes.row(self.database, table, object_id)

    def settled(self, load_balancer_id: str) -> None:
        """Wait until every wish of a load balancer is in force."""
        self.wake()

        def done() -> bool:
            balancer = self.row(objects.load_balancer, load_balancer_id)
            return bool(balancer.settled == balancer.generation)

        eventually("settled", done, 20)

    def deleted(self, load_balancer_id: str) -> None:
        """Wait until a load balancer is DELETED."""
        self.wake()

        def done() -> bool:
            balancer = self.row(objects.load_balancer, load_balancer_id)
            return balancer.deleted_at is not None

        eventually("deleted", done, 20)
