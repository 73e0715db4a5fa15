"""The supervisor with real children: restarts, readiness, stopping, and dying itself."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statera.cli.status import ask_supervisor
from statera.service.readiness import VARIABLE, Inbox
from statera.service.state import State
from tests.installation import ROOT, eventually


class Supervised:
    """A supervisor process and the folder its children work in."""

    def __init__(self, root: Path, *names: str) -> None:
        self.state = State(root)
        self.run = self.state.run
        self.inbox = Inbox(root / "up.sock")
        self.log = root / "supervisor.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.service.supervised", str(self.run), *names],
                cwd=ROOT,
                env={**os.environ, VARIABLE: str(self.inbox.path)},
                stderr=output,
            )

    def heard(self, key: str) -> dict[str, str]:
        """Return the first notification with `key`."""
        return eventually(
            f"notification {key}", lambda: next((m for m in self.inbox.read() if key in m), None)
        )

    def pid(self, name: str, other_than: int = 0) -> int:
        """Return the pid that a child wrote, once it is another than `other_than`."""

        def read() -> int | None:
            with contextlib.suppress(FileNotFoundError):
                pid = int((self.run / f"{name}.pid").read_text())
                return pid if pid != other_than else None
            return None

        return eventually(f"pid of {name}", read)

    def child(self, name: str) -> dict[str, Any]:
        """Return what the supervisor says about a child."""
        said = ask_supervisor(self.state)
        assert said is not None
        found: dict[str, Any] = next(each for each in said["processes"] if each["name"] == name)
        return found

    def stop(self) -> int:
        """Stop the supervisor and return its exit code."""
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder with a short path."""
    with tempfile.TemporaryDirectory(prefix="sv") as folder:
        (Path(folder) / "run").mkdir()
        yield Path(folder)


@contextlib.contextmanager
def supervised(root: Path, *names: str) -> Iterator[Supervised]:
    """Yield a running supervisor; kill it in the end if it still runs."""
    made = Supervised(root, *names)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        made.inbox.close()


def alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_ready_when_all_are(root: Path) -> None:
    """Readiness is told once every child said that it is ready, and the status says so too."""
    (root / "run" / "two.mute").touch()
    with supervised(root, "one", "two") as made:
        eventually("one ready", lambda: "one is ready" in made.heard("STATUS")["STATUS"])
        assert made.child("two")["state"] == "starting"
        mute = made.pid("two")
        (root / "run" / "two.mute").unlink()
        os.kill(mute, signal.SIGKILL)
        assert made.heard("READY")["READY"] == "1"
        said = ask_supervisor(made.state)
        assert said is not None
        assert said["ready"] is True
        assert said["about"] == "test"
        assert said["pid"] == made.process.pid


def test_dead_child_is_started_again(root: Path) -> None:
    """A killed child comes back under another pid; the log and the status say so."""
    with supervised(root, "one", "two") as made:
        made.heard("READY")
        before, other = made.pid("one"), made.pid("two")
        os.kill(before, signal.SIGKILL)
        after = made.pid("one", other_than=before)
        eventually("ready again", lambda: made.child("one")["state"] == "ready")
        said = made.child("one")
        assert (said["pid"], said["restarts"]) == (after, 1)
        assert said["last_exit"] == "signal SIGKILL"
        assert made.child("two")["pid"] == other
        log = made.log.read_text()
        assert f"child.died child=one pid={before} exit='signal SIGKILL'" in log
        assert "child.restarting child=one restart=1 backoff=0.1" in log or "backoff=0.0" in log


def test_death_by_a_signal_without_a_name(root: Path) -> None:
    """A real-time signal ends a child like any other: it is said, and the child comes back."""
    with supervised(root, "one") as made:
        made.heard("READY")
        before = made.pid("one")
        os.kill(before, signal.SIGRTMIN + 3)
        made.pid("one", other_than=before)
        assert made.child("one")["last_exit"] == f"signal {signal.SIGRTMIN + 3}"


def test_backoff_grows_to_its_maximum(root: Path) -> None:
    """A child that dies again and again is started ever later, up to the maximum."""
    with supervised(root, "one") as made:
        made.heard("READY")
        (root / "run" / "one.broken").touch()
        os.kill(made.pid("one"), signal.SIGKILL)
        pattern = re.compile(r"restart=5 ")
        eventually("five restarts", lambda: pattern.search(made.log.read_text()))
        pauses = [float(each) for each in re.findall(r"backoff=([\d.]+)", made.log.read_text())]
        assert pauses[:5] == sorted(pauses[:5])
        assert pauses[4] == 0.4
        (root / "run" / "one.broken").unlink()
        eventually("ready again", lambda: made.child("one")["state"] == "ready")


def test_start_that_never_works_is_given_up(root: Path) -> None:
    """A child that dies three times before all were ready ends the start, others included."""
    (root / "run" / "two.broken").touch()
    with supervised(root, "one", "two") as made:
        first = made.pid("one")
        assert made.heard("FAILED")["FAILED"] == "two"
        assert made.process.wait(20) == 1
        assert not alive(first)
        assert "broken as told" in (root / "run" / "two.log").read_text()


def test_program_that_is_not_there(root: Path) -> None:
    """A child that cannot be executed fails the start like one that dies."""
    program = (
        "import asyncio, sys; from pathlib import Path\n"
        "from statera.service.supervisor import *\n"
        "child = Child('none', ('/nowhere/at/all',))\n"
        "settings = SupervisorSettings(backoff_first=0.01)\n"
        "sys.exit(asyncio.run(Supervisor([child], Path(sys.argv[1]), settings).run()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root / "run")], timeout=20, check=False
    )
    assert done.returncode == 1


def test_term_stops_children_in_reverse(root: Path) -> None:
    """SIGTERM ends the children, the last first, and removes the sockets."""
    with supervised(root, "one", "two", "three") as made:
        made.heard("READY")
        pids = [made.pid(name) for name in ("one", "two", "three")]
        assert made.stop() == 0
        assert not any(alive(pid) for pid in pids)
        stopped = re.findall(r"child\.stopped child=(\w+)", made.log.read_text())
        assert stopped == ["three", "two", "one"]
        assert list(made.run.glob("*.sock")) == []


def test_deaf_child_is_killed(root: Path) -> None:
    """A child that ignores SIGTERM is killed after its time."""
    (root / "run" / "one.deaf").touch()
    with supervised(root, "one") as made:
        made.heard("READY")
        pid = made.pid("one")
        assert made.stop() == 0
        assert not alive(pid)
        assert "child.hanging child=one" in made.log.read_text()


def test_no_orphans_after_kill(root: Path) -> None:
    """A supervisor killed by signal 9 takes its children with it, deaf ones too."""
    (root / "run" / "two.deaf").touch()
    with supervised(root, "one", "two") as made:
        made.heard("READY")
        pids = [made.pid("one"), made.pid("two")]
        made.process.kill()
        made.process.wait()
        eventually("children end", lambda: not any(alive(pid) for pid in pids))


def test_nobody_answers(root: Path) -> None:
    """Without a supervisor, or with the socket file that a killed one left, there is no status."""
    state = State(root)
    assert ask_supervisor(state) is None
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(state.supervisor_socket))
    assert ask_supervisor(state) is None
