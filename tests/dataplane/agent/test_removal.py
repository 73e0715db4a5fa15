"""`statera down`: everything of one installation goes, and nothing of another."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Iterator

import pytest

from statera.agent.removal import remove_everything
from statera.lb.errors import Retryable
from statera.spec import wire
from tests.dataplane.agent.installation import Installation, answers, get, traces


@pytest.fixture
def other(running: Installation) -> Iterator[Installation]:
    """A second installation on the same machine, serving one backend; `running` is the first."""
    assert running.agent is not None
    installation = Installation()
    try:
        installation.start()
        _serve(installation)
        yield installation
    finally:
        installation.close()


def _serve(installation: Installation) -> None:
    installation.add_backend()
    installation.gateway.send(wire.Document(spec=installation.amphora()))
    installation.gateway.in_force(installation.amphora_id(), 1)
    assert get(f"{installation.net}.10") == "backend0"


def test_removal_takes_its_own_and_nothing_else(running: Installation, other: Installation) -> None:
    """By name alone, with the agent's disk gone; the other installation serves on."""
    _serve(running)
    theirs = sorted(traces(other.names))
    pids = running.engine_pids()
    assert pids
    running.end_agent(signal.SIGKILL)
    shutil.rmtree(running.state)
    asyncio.run(remove_everything(running.settings))
    assert traces(running.names) == []
    assert sorted(traces(other.names)) == theirs
    assert other.gateway.amphorae.keys() == {other.amphora_id()}
    assert get(f"{other.net}.10") == "backend0"
    assert not answers(f"{running.net}.10")


def test_nothing_is_removed_under_a_running_agent(running: Installation) -> None:
    """As long as an agent works there, removal refuses: the two would fight."""
    _serve(running)
    with pytest.raises(Retryable, match="Another agent works"):
        asyncio.run(remove_everything(running.settings))
    assert answers(f"{running.net}.10")


def test_removing_nothing_is_no_error(bare: Installation) -> None:
    """Again, or where nothing ever was."""
    asyncio.run(remove_everything(bare.settings))
    assert traces(bare.names) == []
