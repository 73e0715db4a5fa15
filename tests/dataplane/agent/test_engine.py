"""What the agent sees of its engines and says about them."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from statera.spec import wire
from statera.spec.document import Monitor, Pool
from statera.spec.report import AmphoraReport
from tests.dataplane.agent.installation import Installation, answers, get, traces
from tests.dataplane.agent.waiting import wait_for

MONITOR = Monitor(
    id="5d1e6c1e-0000-4000-8000-000000000001",
    type="TCP",
    delay=1,
    timeout=1,
    rise=1,
    fall=1,
)


def _monitored(installation: Installation) -> Pool:
    return Pool(
        id=installation.pool_id(),
        protocol="HTTP",
        algorithm="ROUND_ROBIN",
        monitor=MONITOR,
        members=installation.members(),
    )


def _statuses(report: AmphoraReport | None) -> list[str]:
    return [member.status for pool in (report.pools if report else ()) for member in pool.members]


def test_a_member_that_fails_is_reported(running: Installation) -> None:
    """The report of its status comes by itself, long before the next full one is due."""
    running.add_backend()
    running.add_backend()
    spec = running.amphora(pools=(_monitored(running),))
    running.gateway.send(wire.Document(spec=spec))
    running.gateway.in_force(running.amphora_id(), 1)

    def seen() -> list[str]:
        return _statuses(running.gateway.amphorae.get(running.amphora_id()))

    wait_for(lambda: seen() == ["UP", "UP"], "both members up", seen)
    running.stop_backend()
    wait_for(lambda: seen() == ["DOWN", "UP"], "the first member down", seen, deadline=8.0)
    assert {get(f"{running.net}.10") for _ in range(4)} == {"backend1"}


def test_a_killed_engine_is_back_by_itself(running: Installation) -> None:
    """Another process serves in the same namespace; nobody had to ask."""
    running.add_backend()
    running.gateway.send(wire.Document(spec=running.amphora()))
    running.gateway.in_force(running.amphora_id(), 1)
    (before,) = running.engine_pids()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: answers(f"{running.net}.10"), "traffic", deadline=5.0)
    (after,) = running.engine_pids()
    assert after != before
    running.gateway.send(wire.Document(spec=running.amphora(revision=2)))
    assert running.gateway.in_force(running.amphora_id(), 2).serving


def test_full_reports_bring_counters(bare: Installation) -> None:
    """Counters alone are no change: they come with the next full report."""
    bare.gateway.report_interval = 1.0
    bare.start()
    bare.add_backend()
    bare.gateway.send(wire.Document(spec=bare.amphora()))
    bare.gateway.in_force(bare.amphora_id(), 1)
    for _ in range(3):
        assert get(f"{bare.net}.10") == "backend0"

    def counted() -> int:
        report = bare.gateway.amphorae[bare.amphora_id()]
        return sum(listener.counters.total_connections for listener in report.listeners)

    wait_for(lambda: counted() == 3, "three connections", counted)


def test_a_refused_object_is_named(running: Installation) -> None:
    """What the engine refuses is a final fault of that object; the amphora serves the rest."""
    running.add_backend()
    running.gateway.send(wire.Document(spec=running.amphora()))
    running.gateway.in_force(running.amphora_id(), 1)
    spec = running.amphora(revision=2)
    (listener,) = spec.listeners
    bad = type(listener)(
        id="5d1e6c1e-0000-4000-8000-000000000002",
        protocol="HTTP",
        port=81,
        default_pool_id=listener.default_pool_id,
        allowed_cidrs=("10.0.0.0/99",),
    )
    spec = running.amphora(revision=2, listeners=(listener, bad))
    running.gateway.send(wire.Document(spec=spec))
    report = running.gateway.in_force(running.amphora_id(), 2)
    assert [(fault.object_type, fault.object_id) for fault in report.faults] == [
        ("listener", bad.id)
    ]
    assert report.faults[0].final
    assert get(f"{running.net}.10") == "backend0"


def test_no_other_program_is_run(bare: Installation) -> None:
    """Over an amphora's life the agent runs the engine and nothing else: no shell tools."""
    log = bare.folder / "strace"
    bare.start(
        "strace", "-D", "-f", "-q", "-e", "trace=execve", "-e", "signal=none", "-o", str(log)
    )
    bare.add_backend()
    bare.gateway.send(wire.Document(spec=bare.amphora()))
    bare.gateway.in_force(bare.amphora_id(), 1)
    bare.add_backend()
    bare.gateway.send(wire.Document(spec=bare.amphora(revision=2)))
    bare.gateway.in_force(bare.amphora_id(), 2)
    listener = bare.amphora().listeners[0]
    moved = type(listener)(id=listener.id, protocol="HTTP", port=8000)
    bare.gateway.send(wire.Document(spec=bare.amphora(revision=3, listeners=(moved,))))
    bare.gateway.in_force(bare.amphora_id(), 3)
    bare.gateway.send(wire.Retire(amphora_id=bare.amphora_id(), epoch=1, revision=4))
    assert bare.gateway.in_force(bare.amphora_id(), 4).retired
    bare.gateway.send(wire.RetireNetwork(network_id=bare.network_id, epoch=1, revision=2))
    assert bare.gateway.network_in_force(bare.network_id, 2).retired
    assert traces(bare.names) == []
    # The outcome may stand in a later line, after what another thread did meanwhile.
    run = re.findall(r'execve\("([^"]+)"(?!.*\) = -1)', log.read_text())
    assert {Path(program).name for program in run[1:]} == {"haproxy"}
