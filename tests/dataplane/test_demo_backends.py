"""The demo's backends: plugged into a bridge, answering, and gone without a trace."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from statera.cli.demo import spaces, traffic
from statera.cli.down import leftovers
from tests.installation import eventually, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")


@pytest.fixture
def installation() -> Iterator[str]:
    """An id that nobody has; in the end nothing carries it."""
    made = "t" + secrets.token_hex(2)[:3]
    yield made
    spaces.remove_spaces(made)


@pytest.fixture
def bridge(installation: str) -> Iterator[str]:
    """A bridge with an address of the machine on it."""
    name = f"st{installation}b0demo"
    run("ip", "link", "add", name, "type", "bridge")
    try:
        run("ip", "address", "add", "10.244.77.1/24", "dev", name)
        run("ip", "link", "set", name, "up")
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


def plug(bridge: str, number: int) -> spaces.Plug:
    """Return how backend `number` is plugged in."""
    return spaces.Plug(
        bridge=bridge,
        mac=f"02:00:00:4d:00:{number:02x}",
        address=f"10.244.77.{10 + number}",
        prefix=24,
        gateway="10.244.77.1",
        mtu=1450,
    )


def test_backends_come_and_go(installation: str, bridge: str) -> None:
    """Backends answer with their names from their namespaces; removal leaves nothing, twice."""
    pids = {}
    for number in (1, 2):
        space = spaces.make_space(installation, number, plug(bridge, number))
        name = f"demo-{number}"
        pids[name] = spaces.start_backend(space, name, plug(bridge, number).address, 8080)
    for number in (1, 2):
        address = plug(bridge, number).address
        eventually(f"answer of {number}", partial(traffic.answered, address, 8080))
        assert traffic.send(address, 8080, 20, connections=2).answers == {f"demo-{number}": 20}
    assert len(leftovers(installation)) == 2 + 2 + 1
    os.kill(pids["demo-1"], signal.SIGKILL)
    assert spaces.remove_spaces(installation) == [
        f"st{installation}-demo-1",
        f"st{installation}-demo-2",
    ]
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pids["demo-2"], 0)
    assert leftovers(installation) == [f"link {bridge}"]
    assert spaces.remove_spaces(installation) == []


def test_names_are_taken_again_at_once(installation: str, bridge: str) -> None:
    """What was just removed can be made again under the same names."""
    for _ in range(3):
        spaces.make_space(installation, 1, plug(bridge, 1))
        spaces.remove_spaces(installation)
    assert not list(Path("/run/netns").glob(f"st{installation}-*"))
