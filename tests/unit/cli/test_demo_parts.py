"""The parts of the demo that need no installation: backend, traffic, the client's script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.cli.clouds import Login
from statera.cli.console import Stop
from statera.cli.demo import backend as server
from statera.cli.demo import client, traffic
from statera.cli.demo.network import DemoNetwork
from statera.cli.demo.rest import Refused, Rest
from tests.installation import eventually, free_port


@pytest.fixture
def backend() -> Iterator[int]:
    """Yield the port of a running backend."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-I", server.__file__, "demo-1", "127.0.0.1", str(port)]
    )
    try:
        eventually("the backend's answer", lambda: traffic.answered("127.0.0.1", port))
        yield port
    finally:
        process.kill()
        process.wait()


def test_traffic_counts_answers(backend: int) -> None:
    """Every request is counted under the name of who answered it, over any number of clients."""
    tally = traffic.send("127.0.0.1", backend, 101, connections=4)
    assert tally.answers == {"demo-1": 101}
    assert tally.failed == 0
    assert tally.text() == "demo-1 101"


def test_traffic_counts_failures() -> None:
    """Where nobody listens every request has failed, and the text says why."""
    tally = traffic.send("127.0.0.1", free_port(), 6, connections=2)
    assert tally.failed == 6
    assert "6 failed (ConnectionRefusedError)" in tally.text()


def test_first_byte_is_seen(backend: int) -> None:
    """The watch ends at the first answer, and has no time without one."""
    assert traffic.FirstByte("127.0.0.1", backend).wait(10) is not None
    assert traffic.FirstByte("127.0.0.1", free_port()).wait(0.1) is None


def test_silent_api_is_said_in_words() -> None:
    """An API that does not answer ends the demo with words, not with a traceback."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Stop, match="does not answer"):
        Rest(url, Login(url, "admin", "x", "admin")).get("/")
    assert issubclass(Refused, Stop)


def test_script() -> None:
    """One create command for each object, the members at their addresses."""
    lines = client.creation("net-1", "10.0.0.200", [("demo-1", "10.0.0.11", 8080)])
    kinds = [line.split(" create")[0] for line in lines]
    assert kinds == [
        "loadbalancer",
        "loadbalancer listener",
        "loadbalancer pool",
        "loadbalancer healthmonitor",
        "loadbalancer member",
    ]
    assert "--address 10.0.0.11 --protocol-port 8080" in lines[-1]
    assert "--vip-address 10.0.0.200" in lines[0]


def test_client_talks_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own cloud variables do not reach the demo's client."""
    monkeypatch.setenv("OS_AUTH_URL", "http://elsewhere")
    monkeypatch.setenv("OS_CLOUD", "work")
    environment = client.client_environment(Path("/s/clouds.yaml"))
    assert {name: value for name, value in environment.items() if name.startswith("OS_")} == {
        "OS_CLOUD": "statera",
        "OS_CLIENT_CONFIG_FILE": "/s/clouds.yaml",
    }


def test_vip_is_in_the_subnet() -> None:
    """The demo's VIP is an address of its subnet."""
    assert DemoNetwork("n", "s", "10.9.7.0/24", None, 1500).vip == "10.9.7.200"
