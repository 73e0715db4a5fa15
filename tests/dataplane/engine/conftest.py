"""A network namespace with VIPs, member addresses and small HTTP backends, for one test each."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from statera.agent.haproxy.engine import Engine
from statera.agent.haproxy.settings import HaproxySettings
from statera.spec.document import AmphoraSpec, Listener, Member, Pool

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
BACKEND = Path(__file__).with_name("backend.py")


class Namespace:
    """A network namespace with one thread that lives in it; implements `agent.space.Space`."""

    def __init__(self) -> None:
        self.name = f"t-eng-{uuid.uuid4().hex[:8]}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._thread.submit(self._enter).result()
        self._children: list[subprocess.Popen[bytes]] = []

    def _enter(self) -> None:
        with open(f"/var/run/netns/{self.name}") as handle:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(handle.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def call(self, work: Callable[[], T]) -> T:
        return self._thread.submit(work).result()

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def address(self, *addresses: str) -> None:
        for address in addresses:
            extra = ("nodad",) if ":" in address else ()
            self.ip("address", "add", address, "dev", "lo", *extra)

    def backend(self, address: str, port: int, name: str) -> subprocess.Popen[bytes]:
        """Start a small HTTP server that answers with `name`; return when it listens."""
        child = self.call(
            lambda: subprocess.Popen(
                [sys.executable, str(BACKEND), address, str(port), name],
                stdout=subprocess.PIPE,
            )
        )
        self._children.append(child)
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        return child

    def remove(self) -> None:
        for child in self._children:
            child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
        self._thread.shutdown()
        pids = subprocess.run(
            ["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False
        )
        for pid in pids.stdout.split():
            os.kill(int(pid), 9)
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


@dataclasses.dataclass
class Reply:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: str


class Connection:
    """A client's connection from inside the namespace."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, path: str = "/", **headers: str) -> Reply:
        """Send one request and return the answer; headers are named with `_` for `-`."""
        lines = [f"GET {path} HTTP/1.1", "Host: test"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *rows = head.strip().split("\r\n")
        fields = {name.lower(): value for name, _, value in (row.partition(": ") for row in rows)}
        body = await self.reader.readexactly(int(fields.get("content-length", 0)))
        return Reply(int(status.split()[1]), fields, body.decode())

    def close(self) -> None:
        self.writer.close()


class Bench:
    """One amphora's engine in a namespace, and clients beside it."""

    def __init__(self, space: Namespace, directory: Path) -> None:
        self.space = space
        self.directory = directory

    def engine(self, **settings: Any) -> Engine:
        """Return an engine on the directory; a second one is the agent after its restart."""
        return Engine("amphora", self.directory, self.space, HaproxySettings(**settings))

    def spec(self, *pools: Pool, listeners: tuple[Listener, ...] | None = None) -> AmphoraSpec:
        """Return a document; unless given, one HTTP listener on port 80 uses the first pool."""
        default = Listener(
            id="listener", protocol="HTTP", port=80, default_pool_id=pools[0].id if pools else None
        )
        return AmphoraSpec(
            amphora_id="amphora",
            load_balancer_id="lb",
            project_id="project",
            epoch=1,
            revision=1,
            generation=1,
            vips=("10.0.0.5", "fd00::5"),
            listeners=(default,) if listeners is None else listeners,
            pools=pools,
            cookie_key="key",
        )

    def member(self, number: int, **changes: Any) -> Member:
        """Return member `number`, at 10.1.0.<number>:80."""
        return Member(id=f"m{number}", address=f"10.1.0.{number}", port=80, **changes)

    def pool(self, *members: Member, **changes: Any) -> Pool:
        """Return an HTTP pool with these members."""
        values = {"id": "pool", "protocol": "HTTP", "algorithm": "ROUND_ROBIN"} | changes
        return Pool(members=members, **values)

    def backends(self, *numbers: int) -> None:
        """Start the backends of these members; each answers with its member's id."""
        for number in numbers:
            self.space.backend(f"10.1.0.{number}", 80, f"m{number}")

    async def connect(
        self, address: str = "10.0.0.5", port: int = 80, source: str | None = None
    ) -> Connection:
        """Connect to the VIP."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        opened = self.space.call(lambda: socket.socket(family, socket.SOCK_STREAM))
        opened.setblocking(False)
        if source is not None:
            opened.bind((source, 0))
        try:
            async with asyncio.timeout(10):
                await asyncio.get_running_loop().sock_connect(opened, (address, port))
            return Connection(*await asyncio.open_connection(sock=opened))
        except BaseException:
            opened.close()
            raise

    async def get(self, path: str = "/", source: str | None = None, **headers: str) -> Reply:
        """Ask the VIP once, over a connection of its own."""
        connection = await self.connect(source=source)
        try:
            async with asyncio.timeout(10):
                return await connection.ask(path, Connection="close", **headers)
        finally:
            connection.close()

    async def bodies(self, count: int) -> set[str]:
        """Return who answers `count` requests."""
        return {(await self.get()).body for _ in range(count)}

    async def status(self, engine: Engine) -> dict[str, str]:
        """Return the status of each member."""
        state = await engine.observe()
        return {member.id: member.status for pool in state.pools for member in pool.members}

    def pids(self) -> list[int]:
        """Return the HAProxy processes in the namespace."""
        listed = subprocess.run(
            ["ip", "netns", "pids", self.space.name], capture_output=True, text=True, check=True
        )
        return [
            pid
            for pid in map(int, listed.stdout.split())
            if Path(f"/proc/{pid}/comm").read_text() == "haproxy\n"
        ]


@pytest.fixture
def space() -> Iterator[Namespace]:
    """A namespace with VIP 10.0.0.5 and fd00::5, and member addresses 10.1.0.1 to .9."""
    made = Namespace()
    try:
        made.ip("link", "set", "lo", "up")
        made.address("10.0.0.5/32", "fd00::5/128")
        made.address(*(f"10.1.0.{number}/32" for number in range(1, 10)))
        yield made
    finally:
        made.remove()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path: unix sockets have 107 characters."""
    made = Path(tempfile.mkdtemp(prefix="t-eng-"))
    try:
        yield made / "amphora"
    finally:
        shutil.rmtree(made)


@pytest.fixture
def bench(space: Namespace, directory: Path) -> Bench:
    """Everything a test of the engine needs."""
    return Bench(space, directory)


async def _until(condition: Callable[[], Awaitable[object]], deadline: float = 15.0) -> None:
    """Return as soon as `condition` holds; fail at the deadline (seconds)."""
    end = time.monotonic() + deadline
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.01)


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait for a condition, with a deadline."""
    return _until
