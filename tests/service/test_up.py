"""`statera up --detach`: returns when everything is ready, or says in words why not."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.cli.console import Progress
from statera.cli.down import stop_supervisor
from statera.cli.status import ask_supervisor
from statera.cli.up import DOWN_LOCK, LOCK, PROCESSES
from statera.service.state import State
from tests.installation import ROOT, eventually, free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="`up` needs root")


class Upped:
    """A state directory, a port, and `up` on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = State(root)
        self.port = free_port()

    def start(self, what: str = "up") -> subprocess.Popen[str]:
        """Start `up`."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.service.upped", what, str(self.root), str(self.port)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stderr=subprocess.PIPE,
            text=True,
        )

    def up(self, what: str = "up") -> tuple[int, str]:
        """Run `up`; return its exit code and what it said."""
        process = self.start(what)
        said = process.communicate(timeout=30)[1]
        return process.returncode, said

    def down(self) -> None:
        """Stop what runs."""
        stop_supervisor(self.state, 20, Progress(quiet=True))


@pytest.fixture
def here() -> Iterator[Upped]:
    """An installation that is stopped in the end."""
    with tempfile.TemporaryDirectory(prefix="su") as folder:
        made = Upped(Path(folder))
        try:
            yield made
        finally:
            made.down()


def test_returns_when_ready(here: Upped) -> None:
    """It returns 0 with every process ready, goes on without us, and is stopped by `down`."""
    code, said = here.up()
    assert code == 0, said
    assert "everything is ready" in said
    status = ask_supervisor(here.state)
    assert status is not None
    assert status["ready"]
    assert [each["name"] for each in status["processes"]] == list(PROCESSES)
    assert status["api"] == f"http://127.0.0.1:{here.port}"
    here.down()
    assert here.state.holder(LOCK) is None
    assert not any(Path(f"/proc/{each['pid']}").exists() for each in status["processes"])


def test_twice_is_once(here: Upped) -> None:
    """A second `up --detach` finds the first and is content; in the foreground it is refused."""
    assert here.up()[0] == 0
    pid = here.state.holder(LOCK)
    code, said = here.up()
    assert (code, here.state.holder(LOCK)) == (0, pid)
    assert "already running" in said
    code, said = here.up("up-here")
    assert code == 1
    assert f"already running (pid {pid})" in said


def test_two_at_once(here: Upped) -> None:
    """Of two that start together one supervisor stays, and both return when it is ready."""
    both = [here.start(), here.start()]
    said = [process.communicate(timeout=30)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert (ask_supervisor(here.state) or {})["ready"]
    ours = [path for path in Path("/proc").glob("[0-9]*") if is_supervisor(path, here.root)]
    assert len(ours) == 1


def test_second_waits_for_the_first(here: Upped) -> None:
    """`up --detach` beside one that is still starting returns when that one is ready."""
    (here.root / "agent.mute").touch()
    first = here.start()
    eventually("a supervisor", lambda: here.state.holder(LOCK))
    second = here.start()
    eventually("the agent", lambda: here.state.holder(LOCK) and said_state(here, "agent"))
    assert second.poll() is None
    (here.root / "agent.mute").unlink()
    os.kill(said_state(here, "agent"), signal.SIGKILL)
    for process in (first, second):
        assert process.wait(30) == 0
    assert (ask_supervisor(here.state) or {})["ready"]
    for process in (first, second):
        process.communicate()


def said_state(here: Upped, name: str) -> int:
    """Return the pid of a process as the supervisor tells it, 0 without one."""
    said = ask_supervisor(here.state) or {"processes": []}
    return next((each["pid"] or 0 for each in said["processes"] if each["name"] == name), 0)


def test_who_is_late_is_said(here: Upped) -> None:
    """A process that never gets ready is named, and nothing stays behind."""
    (here.root / "impatient").touch()
    (here.root / "agent.mute").touch()
    code, said = here.up()
    assert code == 1
    assert re.search(r"could not start: .*\bagent\b.* not ready after 8 s", said)
    assert here.state.holder(LOCK) is None


def test_down_keeps_up_out(here: Upped) -> None:
    """While `down` is at work nothing is started, and the reason is said."""
    here.state.prepare()
    with here.state.lock(DOWN_LOCK, wait=True):
        code, said = here.up()
    assert code == 1
    assert f"`statera down` is still at work (pid {os.getpid()})" in said
    assert here.up()[0] == 0


def test_preparation_dies_with_its_supervisor(here: Upped) -> None:
    """Preparing does not go on behind the back of the next `up`, which prepares too."""
    (here.root / "prepare.mute").touch()
    starting = here.start()
    pidfile = here.root / "prepare.pid"
    eventually("preparation", pidfile.exists)
    pid = int(pidfile.read_text())
    supervisor = here.state.holder(LOCK)
    assert supervisor
    os.kill(supervisor, signal.SIGTERM)
    eventually("its end", lambda: not Path(f"/proc/{pid}").exists())
    assert starting.wait(30) == 1
    starting.communicate()


def is_supervisor(path: Path, root: Path) -> bool:
    """Return whether a folder of /proc is a supervisor of the state directory."""
    try:
        words = (path / "cmdline").read_bytes().decode().split("\0")
    except OSError:
        return False
    return "supervisor" in words and str(root) in words


def test_broken_process_is_told(here: Upped) -> None:
    """A process that does not start: exit code 1, its name, and the last lines of its log."""
    (here.root / "controller.broken").touch()
    code, said = here.up()
    assert code == 1
    assert "controller does not start" in said
    assert "controller cannot work as told" in said
    assert here.state.holder(LOCK) is None
    (here.root / "controller.broken").unlink()
    assert here.up()[0] == 0


def test_broken_preparation_is_told(here: Upped) -> None:
    """When preparing fails nothing is started, and the reason is shown."""
    (here.root / "prepare.broken").touch()
    code, said = here.up()
    assert code == 1
    assert "prepare cannot work as told" in said
    assert "could not be prepared" in said


def test_port_of_others(here: Upped) -> None:
    """A port in use is refused before anything starts."""
    with socket.create_server(("127.0.0.1", here.port)):
        code, said = here.up()
    assert code == 1
    assert f"127.0.0.1:{here.port} is in use" in said
    assert not here.state.logs.exists()


def test_killed_supervisor(here: Upped) -> None:
    """After a kill -9 of the supervisor `up` starts everything again at once."""
    assert here.up()[0] == 0
    pid = here.state.holder(LOCK)
    assert pid
    os.kill(pid, 9)
    eventually("the lock is free", lambda: here.state.holder(LOCK) is None)
    assert here.up()[0] == 0
    assert here.state.holder(LOCK) != pid
