"""A network namespace with VIPs, member addresses and small HTTP backends, for one test each."""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

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


async def until(condition: Callable[[], Awaitable[object]], deadline: float = 15.0) -> None:
    """Return as soon as `condition` holds; fail at the deadline (seconds)."""
    end = time.monotonic() + deadline
    while not await condition():
        assert time.monotonic() < end, "the condition did not come true"
        await asyncio.sleep(0.01)


__all__ = ["AsyncIterator"]
