"""The processes of one installation: API, controllers, gateways, and an agent on each machine.

Each is the production code from its outermost function that is no loop around sockets or threads;
`controllers` stands for `controller.daemon`, whose threads are threads of the virtual loop here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import falcon
import greenlet
import msgspec
from falcon.testing import TestClient
from sqlalchemy.engine import Connection

from statera.agent import daemon as agent
from statera.agent.disk import Disk
from statera.api.app import create_app
from statera.api.context import ApiContext
from statera.api.settings import ApiSettings
from statera.cloud.machines import MachinesCompute
from statera.cloud.network.embedded import EmbeddedNetworks
from statera.controller.acting import Edges
from statera.controller.converge import Converger, Held
from statera.controller.housekeeping import Housekeeping
from statera.controller.keeper import Keeper
from statera.controller.settings import ControllerSettings
from statera.edges.identity.noauth import NoAuth
from statera.edges.keys.noop import NoopKeys
from statera.gateway.daemon import Gateway
from statera.gateway.settings import GatewaySettings
from statera.gateway.threads import Threads
from statera.service.wake import WORK
from statera.spec.abilities import ALL
from statera.store import work
from tests.simulation.database import Storage
from tests.simulation.loop import Process
from tests.simulation.machine import Machine
from tests.simulation.network import Bell, Bells, Network
from tests.simulation.world import World

PROJECT = "99999999999949998999999999999999"
CONTROLLER = ControllerSettings(workers=2, lease_seconds=10.0, max_backoff=20.0)


class Lost(Exception):
    """The API died, or the network to it, before it answered."""


class Answer(msgspec.Struct, frozen=True):
    """What a client gets; `doubtful`: the database lost a connection in a commit of this call."""

    status: int
    json: Any
    doubtful: bool


class House:
    """Starts, kills and restarts processes."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.storage = Storage(world, directory)
        self.network = Network(world)
        self.bells = Bells(world)
        self.machines = {
            name: Machine(world, name, directory / name)
            for name in (f"machine-{number}" for number in range(3))
        }
        self.lives: dict[str, Process] = {}
        self.crash_at: tuple[str, int] | None = None
        """(controller, checkpoints from now) at which it dies."""
        self._recipes: dict[str, Callable[[Process], Coroutine[Any, Any, None]]] = {}
        for number in range(2):
            self._recipes[f"gateway-{number}"] = self._gateway
            self._recipes[f"controller-{number}"] = self._controller
        for name in self.machines:
            self._recipes[f"agent@{name}"] = self._agent
        self._recipes["api"] = self._api
        self._client: TestClient | None = None
        self._waiting: dict[asyncio.Future[Answer], None] = {}

    @property
    def names(self) -> list[str]:
        """Return the names of all processes."""
        return list(self._recipes)

    def start(self, name: str) -> None:
        """Start a process unless it lives."""
        if name in self.lives:
            return
        process = self.lives[name] = self.world.process(name)
        self.world.note(f"start {process.name}")
        self.world.start(process, self._recipes[name](process))

    def kill(self, name: str) -> None:
        """Let a process die where it is."""
        process = self.lives.pop(name, None)
        if process is not None:
            self.world.note(f"kill {process.name}", count="crashes")
            process.kill()

    def machine_of(self, name: str) -> Machine:
        """Return the machine of an agent."""
        return self.machines[name.partition("@")[2]]

    # --- the API ------------------------------------------------------------------------------

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request and return the answer; raise `Lost`."""
        process, client = self.lives.get("api"), self._client
        if process is None or client is None:
            await asyncio.sleep(0.05)
            raise Lost
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        process.within(self.world.loop.start_thread, *_request(
            self.storage, client, (method, path, body), future
        ))  # fmt: skip
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    async def _api(self, process: Process) -> None:
        database = self.storage.database()
        context = ApiContext(
            database, NoAuth(), EmbeddedNetworks(database), NoopKeys(), self.bells, ApiSettings()
        )
        app: falcon.App[falcon.Request, falcon.Response] = create_app(context)
        self._client = TestClient(app)
        process.last_words.append(self._api_died)

    def _api_died(self) -> None:
        self._client = None
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(Lost())

    # --- controllers --------------------------------------------------------------------------

    async def _controller(self, process: Process) -> None:
        await _Controller(self, process).run()

    def checkpoint(self, process: Process, name: str) -> None:
        """Perhaps die here."""
        self.world.note(f"at {name}")
        short = process.name.partition("#")[0]
        if self.crash_at is not None and self.crash_at[0] == short:
            left = self.crash_at[1] - 1
            self.crash_at = (short, left) if left > 0 else None
            if left <= 0:
                self.world.counts["checkpoint crashes"] = (
                    self.world.counts.get("checkpoint crashes", 0) + 1
                )
                self.kill(short)
        self.world.loop.pause(self.world.random.expovariate(2000.0))

    # --- gateways and agents ------------------------------------------------------------------

    async def _gateway(self, process: Process) -> None:
        settings = GatewaySettings(poll_interval=5.0)
        threads = Threads(self.storage.database(), settings.threads)
        gateway = Gateway(threads, self.bells, settings)
        while True:
            try:
                listening = self.network.listening(process)
                await gateway.run(asyncio.Event(), lambda: None, listening)
            except Exception as error:  # the supervisor starts another
                self.world.note(f"gateway ended {type(error).__name__}")
                await asyncio.sleep(1.0)
                gateway = Gateway(threads, self.bells, settings)

    async def _agent(self, process: Process) -> None:
        machine = self.machine_of(process.name.partition("#")[0])
        settings = agent.AgentSettings(installation="sim", retry_longest=5.0, resync_interval=60.0)
        parts = agent.Parts(
            names=machine.names,
            host=machine,
            disk=Disk(machine.disk),
            make_engine=machine.make_engine,
            dial=self.network.dial(machine.name, process),
            abilities=tuple(sorted(ALL)),
        )
        await agent.serve(settings, parts, asyncio.Event())


class _Controller:
    """What `controller.daemon` does, with the threads of the virtual loop."""

    def __init__(self, house: House, process: Process) -> None:
        database = house.storage.database()
        self._house = house
        self._owner = process.name
        self._database = database
        self._edges = Edges(
            database, EmbeddedNetworks(database), MachinesCompute(database), house.bells
        )
        self._converger = Converger(
            self._edges, CONTROLLER, lambda name: house.checkpoint(process, name)
        )
        self._keeper = Keeper(database, CONTROLLER.lease_seconds)
        self._housekeeping = Housekeeping(database, house.bells, CONTROLLER, self._owner)
        self._free = CONTROLLER.workers
        self._bell: Bell = house.bells.listen(WORK)
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Claim and work, for ever."""
        for seconds, work_of in (
            (CONTROLLER.lease_seconds / 3, self._keeper.beat),
            (CONTROLLER.cleanup_interval, self._round),
        ):
            self._loop.create_task(self._again_and_again(seconds, work_of))
        await self._blocking(self._bury_predecessors)
        while True:
            until = self._loop.time() + CONTROLLER.lease_seconds
            claims = await self._blocking(self._claim) if self._free else []
            for claim in claims:
                held = Held(claim, until)
                self._keeper.add(held)
                self._free -= 1
                self._loop.create_task(self._work(held))
            try:
                async with asyncio.timeout(CONTROLLER.poll_interval):
                    await self._bell.receive(16)
            except TimeoutError:
                continue

    def _bury_predecessors(self) -> None:
        """End the leases of earlier lives; half of them died on another machine."""
        short, _, life = self._owner.partition("#")
        dead = [f"{short}#{number}" for number in range(1, int(life)) if number % 2]

        def bury(connection: Connection) -> None:
            for each in dead:
                work.release_dead(connection, each)

        self._try(bury)

    def _claim(self) -> list[work.Claim]:
        lease, limit = CONTROLLER.lease_seconds, self._free
        found: list[work.Claim] | None = self._try(
            lambda connection: work.claim(connection, self._owner, lease, limit)
        )
        return found or []

    def _try(self, what: Callable[[Connection], Any]) -> Any:
        try:
            return self._database.write(what)
        except Exception as error:
            self._house.world.note(f"unclaimed {type(error).__name__}")
            return None

    async def _work(self, held: Held) -> None:
        try:
            await self._blocking(lambda: self._converger.work(held))
        finally:
            self._keeper.remove(held)
            self._free += 1
            self._bell.ring()

    def _round(self) -> None:
        try:
            self._housekeeping.round()
        except Exception as error:
            self._house.world.note(f"housekeeping failed {type(error).__name__}")

    async def _again_and_again(self, seconds: float, what: Callable[[], object]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._blocking(what)

    async def _blocking(self, what: Callable[[], Any]) -> Any:
        return await self._loop.run_in_executor(None, what)


def _request(
    storage: Storage,
    client: TestClient,
    request: tuple[str, str, object],
    future: asyncio.Future[Answer],
) -> tuple[Callable[[], Any], Callable[[Any, Exception | None], None]]:
    """Return the work of a request thread, and who is told what came of it."""
    method, path, body = request

    def work() -> Answer:
        headers = {"X-Project-Id": PROJECT, "Content-Type": "application/json"}
        data = None if body is None else msgspec.json.encode(body)
        result = client.simulate_request(method, f"/v2.0/lbaas{path}", headers=headers, body=data)
        doubtful = greenlet.getcurrent() in storage.faults.doubtful
        return Answer(result.status_code, result.json if result.content else None, doubtful)

    def done(value: Answer, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    return work, done
