"""A disk that is full, or cannot be read: what serves goes on, what is new waits and says why."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

import pytest

from statera.spec import wire
from tests.dataplane.agent.installation import Installation, answers, get, shell, traces
from tests.dataplane.agent.waiting import wait_for


@pytest.fixture
def small(bare: Installation) -> Iterator[Installation]:
    """An installation whose state directory is a disk of 2 MB, with one amphora that serves."""
    bare.state.mkdir()
    shell("mount", "-t", "tmpfs", "-o", "size=2m", "st", str(bare.state))
    try:
        bare.start()
        bare.add_backend()
        bare.gateway.send(wire.Document(spec=bare.amphora()))
        bare.gateway.in_force(bare.amphora_id(), 1)
        yield bare
    finally:
        if bare.agent is not None:
            bare.end_agent(signal.SIGKILL)
        bare.lose_the_machine()
        subprocess.run(["umount", "-l", str(bare.state)], check=True)


def _fill(installation: Installation) -> None:
    with (installation.state / "ballast").open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue


def _free(installation: Installation) -> None:
    (installation.state / "ballast").unlink()


def _complains(installation: Installation, amphora_id: str) -> bool:
    report = installation.gateway.amphorae.get(amphora_id)
    faults = report.faults if report is not None else ()
    return any("No space left" in fault.text and not fault.final for fault in faults)


def test_a_full_disk_takes_nothing_new_and_loses_nothing(small: Installation) -> None:
    """Traffic goes on, also through a restart of the agent; with space everything comes true."""
    vip, amphora_id = f"{small.net}.10", small.amphora_id()
    _fill(small)
    small.gateway.send(wire.Document(spec=small.amphora(revision=2)))
    small.gateway.send(wire.Document(spec=small.amphora(11)))
    wait_for(lambda: _complains(small, amphora_id), "a fault of the changed one")
    wait_for(lambda: _complains(small, small.amphora_id(11)), "a fault of the new one")
    assert small.gateway.amphorae[amphora_id].revision == 1
    assert get(vip) == "backend0"
    pids = small.engine_pids()
    small.restart_agent()
    assert small.gateway.in_force(amphora_id, 1).serving
    assert small.engine_pids() == pids
    small.gateway.send(wire.Document(spec=small.amphora(revision=2)))
    small.gateway.send(wire.Document(spec=small.amphora(11)))
    wait_for(lambda: _complains(small, amphora_id), "a fault after the restart")
    _free(small)
    assert small.gateway.in_force(amphora_id, 2).faults == ()
    assert small.gateway.in_force(small.amphora_id(11), 1).faults == ()
    assert answers(vip)
    assert answers(f"{small.net}.11")


def test_a_retirement_waits_for_its_tombstone(small: Installation) -> None:
    """On a full disk nothing is removed that could come back; with space everything goes."""
    _fill(small)
    small.gateway.forget()
    small.gateway.send(wire.Retire(amphora_id=small.amphora_id(), epoch=1, revision=2))
    wait_for(lambda: _complains(small, small.amphora_id()), "a fault")
    assert answers(f"{small.net}.10")
    _free(small)
    assert small.gateway.in_force(small.amphora_id(), 2).retired
    assert traces(small.names) == [small.bridge]
