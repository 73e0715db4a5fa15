"""One whole installation: what its processes load, who can read what, and what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from statera.cli.down import leftovers
from statera.cli.up import LOCK
from statera.service.state import State
from tests.installation import Installation, eventually
from tests.trees import http_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="`up` needs root")

TRAP = """
import os, pathlib
pathlib.Path(__file__).with_name(f"loaded-{os.getpid()}").touch()
"""


@pytest.fixture
def here() -> Iterator[Installation]:
    """An installation with a load balancer, on whose path a module called `eventlet` waits."""
    with tempfile.TemporaryDirectory(prefix="st") as folder:
        trap = Path(folder) / "trap" / "eventlet"
        trap.mkdir(parents=True)
        (trap / "__init__.py").write_text(TRAP)
        made = Installation(Path(folder))
        made.environment["PYTHONPATH"] += f":{trap.parent}"
        made.environment["PATH"] = "/usr/bin:/bin"  # as `su` leaves it
        try:
            made.up()
            _, subnet = made.network()
            tree = http_tree(subnet, [])
            made.settled(made.call("POST", "/loadbalancers", tree)["loadbalancer"]["id"])
            yield made
        finally:
            made.down()


def processes(here: Installation) -> dict[int, str]:
    """Return the command lines of every process that has to do with the installation, by pid."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
        if str(here.directory) in words:
            found[int(entry.name)] = words
    return found


def test_a_whole_installation(here: Installation) -> None:
    """No eventlet, no secret in sight, no orphan of a killed supervisor, two `down` at once."""
    no_eventlet(here)
    no_secret_in_sight(here)
    no_orphan(here)
    two_downs(here)


def no_eventlet(here: Installation) -> None:
    """No process has loaded eventlet, though it could, nor what eventlet stands on."""
    trap = here.directory / "trap" / "eventlet"
    assert not list(trap.glob("loaded-*"))
    ours = [pid for pid, words in processes(here).items() if "statera.cli.main" in words]
    assert len(ours) >= 6
    for pid in ours:
        assert "greenlet" not in Path(f"/proc/{pid}/maps").read_text()
    subprocess.run([sys.executable, "-c", "import eventlet"], env=here.environment, check=True)
    assert list(trap.glob("loaded-*"))


def no_secret_in_sight(here: Installation) -> None:
    """The password is in two private files alone; what processes write is for their owner."""
    password = here.cloud()["auth"]["password"]
    assert not any(password in words for words in processes(here).values())
    state = here.directory / "state"
    files = [path for path in here.directory.rglob("*") if path.is_file()]
    holding = [path for path in files if password.encode() in path.read_bytes()]
    assert sorted(path.name for path in holding) == ["clouds.yaml", "clouds.yaml"]
    private = [*holding, *state.glob("statera.db*"), *(state / "log").iterdir(), state]
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)


def no_orphan(here: Installation) -> None:
    """After a kill -9 of the supervisor nothing of ours runs but the data plane."""
    supervisor = State(here.directory / "state").holder(LOCK)
    assert supervisor
    os.kill(supervisor, signal.SIGKILL)
    eventually(
        "their end", lambda: not any("statera.cli" in words for words in processes(here).values())
    )
    assert [words for words in processes(here).values() if "haproxy" in words]


def two_downs(here: Installation) -> None:
    """Two `statera down` at once both end well, and nothing is left."""
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: here.statera("down", check=False), range(2)))
    assert [done.returncode for done in both] == [0, 0], [done.stderr for done in both]
    assert processes(here) == {}
    assert leftovers(State(here.directory / "state").installation_id()) == []
