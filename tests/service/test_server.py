"""The embedded WSGI server: nothing of it outlives another part, and its port comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from statera.service.readiness import VARIABLE, Inbox
from tests.installation import ROOT, eventually, free_port


class Server:
    """A server process."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.inbox = Inbox(folder / f"{port}.sock")
        self.start()

    def start(self) -> None:
        """Start it (again) on the same port."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.service.served", str(self.port)],
            cwd=ROOT,
            env={**os.environ, VARIABLE: str(self.inbox.path)},
        )

    def ready(self) -> None:
        """Wait until it says that it is ready."""
        eventually("ready", lambda: any("READY" in message for message in self.inbox.read()))

    def get(self, path: str = "/") -> dict[str, Any]:
        """Return the answer to a GET on a new connection."""
        said: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).json()
        return said


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that is ready."""
    with tempfile.TemporaryDirectory(prefix="sv") as folder:
        made = Server(Path(folder), free_port())
        try:
            made.ready()
            yield made
        finally:
            made.process.kill()
            made.process.wait()
            made.inbox.close()


def gone(pid: int) -> bool:
    """Return whether there is no process of that pid."""
    return not Path(f"/proc/{pid}").exists()


def test_ready_means_that_it_serves(server: Server) -> None:
    """Once it said that it is ready, the first request is answered, below its mount too."""
    said = server.get("/identity/v3")
    assert (said["prefix"], said["path"]) == ("/identity", "/v3")
    assert said["main"] == server.process.pid


def test_killed_worker_is_replaced(server: Server) -> None:
    """The worker killed by signal 9: another one serves the port."""
    worker = server.get()["worker"]
    os.kill(worker, signal.SIGKILL)
    said = eventually("another worker", server.get)
    assert said["worker"] != worker
    assert server.process.poll() is None


def test_killed_main_takes_its_worker_along(server: Server) -> None:
    """The main process killed by signal 9: no worker stays, and a new server gets the port."""
    worker = server.get()["worker"]
    server.process.kill()
    server.process.wait()
    eventually("the worker ends", lambda: gone(worker))
    server.start()
    server.ready()
    assert server.get()["main"] == server.process.pid


def test_worker_that_keeps_dying_ends_the_server(server: Server) -> None:
    """Two deaths in a row end the main process with an error: the supervisor's turn."""
    for _ in range(2):
        with contextlib.suppress(httpx.HTTPError):
            os.kill(eventually("a worker", server.get)["worker"], signal.SIGKILL)
    assert server.process.wait(20) == 1


def test_term_ends_it_well(server: Server) -> None:
    """SIGTERM ends main and worker with exit code 0."""
    worker = server.get()["worker"]
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert gone(worker)


def test_port_is_not_shared(server: Server) -> None:
    """A second server on the same port refuses to start instead of taking half of the requests."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.service.served", str(server.port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert f"127.0.0.1:{server.port} cannot be served" in done.stderr
    assert server.get()["main"] == server.process.pid
