"""The state directory: its id, its locks, and paths that sockets can have."""

from __future__ import annotations

import multiprocessing
import os
import re
import tempfile
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from statera.service.state import DEFAULT_ROOT, Locked, State, StateError, chosen_root


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A state directory that is ready."""
    state = State(tmp_path)
    for folder in (state.run, state.logs, state.agent):
        folder.mkdir()
    return state


def test_installation_id_is_made_once(state: State) -> None:
    """The id is short, fits the names made of it, and stays."""
    assert state.known_id() is None
    made = state.installation_id()
    assert re.fullmatch(r"[a-z][a-z0-9]{3}", made)
    assert state.installation_id() == made == State(state.root).known_id()
    assert [path.name for path in state.root.glob("installation*")] == ["installation"]


def test_installations_differ(tmp_path: Path) -> None:
    """Two directories do not get the same id by construction."""
    ids = set()
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        ids.add(State(folder).installation_id())
    assert len(ids) > 15


def test_prepare_makes_private_directories() -> None:
    """Nobody but the owner reads the state."""
    with tempfile.TemporaryDirectory(prefix="st") as folder:
        check_private(State(Path(folder) / "s"))


def check_private(state: State) -> None:
    """Prepare the directory twice and look at its modes."""
    state.prepare()
    state.prepare()
    for folder in (state.root, state.run, state.logs, state.agent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert state.known_id()


@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o770, 0), (0o755, 65534)])
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
def test_directories_of_others_are_refused(mode: int, owner: int) -> None:
    """Where somebody else may put links nothing is made, and the directory stays as it is."""
    with tempfile.TemporaryDirectory(prefix="st") as folder:
        root = Path(folder) / "s"
        root.mkdir()
        root.chmod(mode)
        os.chown(root, owner, owner)
        with pytest.raises(StateError, match="may be written by others"):
            State(root).prepare()
        assert list(root.iterdir()) == []
        assert root.stat().st_mode & 0o777 == mode


def test_long_paths_are_refused(tmp_path: Path) -> None:
    """A path too long for unix sockets is refused before anything is made, in plain words."""
    state = State(tmp_path / ("x" * 90))
    with pytest.raises(StateError, match="too long for unix sockets"):
        state.prepare()
    assert not state.root.exists()


def _hold(root: Path, held: Event, release: Event) -> None:
    with State(root).lock("up", wait=False):
        held.set()
        release.wait(20)


def test_lock_keeps_others_out(state: State) -> None:
    """While one process holds a lock, another is refused and told who has it; then it is free."""
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(state.root, held, release))
    process.start()
    try:
        assert held.wait(20)
        assert state.holder("up") == process.pid
        with pytest.raises(Locked) as caught, state.lock("up", wait=False):
            pass
        assert caught.value.pid == process.pid
    finally:
        release.set()
        process.join(20)
    assert state.holder("up") is None
    with state.lock("up", wait=False):
        pass


@pytest.mark.parametrize(
    ("argument", "environment", "wanted"),
    [
        (None, {}, DEFAULT_ROOT),
        (None, {"STATERA_STATE_DIR": "/e"}, Path("/e")),
        ("/a", {"STATERA_STATE_DIR": "/e"}, Path("/a")),
    ],
)
def test_chosen_root(argument: str | None, environment: dict[str, str], wanted: Path) -> None:
    """The argument wins over the environment, which wins over the default."""
    assert chosen_root(argument, environment) == wanted
