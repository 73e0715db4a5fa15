"""Agents that die, or fail, in the middle of something: the next attempt finds and finishes it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from pathlib import Path

from statera.agent.amphora import Amphora
from statera.agent.disk import AmphoraRecord
from statera.agent.haproxy.engine import Engine
from statera.agent.haproxy.settings import HaproxySettings
from statera.agent.space import Space
from statera.spec import wire
from statera.spec.document import AmphoraSpec
from tests.dataplane.agent.installation import Installation, get, surroundings, traces
from tests.dataplane.agent.waiting import wait_for

STEP = 0.012
"""Seconds; an amphora is made in some fifty milliseconds and retired in some twenty."""


def test_killed_at_any_moment(running: Installation) -> None:
    """While it makes, changes or retires: the next agent ends there, with one engine or nothing."""
    running.add_backend()
    for number in range(5):
        for turn in range(3):
            revision = 3 * number + turn + 1
            message = _message(running, revision, turn)
            running.gateway.send(message)
            time.sleep(number * STEP)  # where it is killed, not what is waited for
            running.restart_agent()
            running.gateway.send(message)
            report = running.gateway.in_force(running.amphora_id(), revision)
            assert report.faults == ()
            _check(running, turn, retired=report.retired)


def _message(installation: Installation, revision: int, turn: int) -> wire.Message:
    if turn == 2:
        amphora_id = installation.amphora_id()
        return wire.Retire(amphora_id=amphora_id, epoch=1, revision=revision)
    listeners = installation.amphora().listeners + installation.amphora(11).listeners * turn
    ports = [type(each)(id=each.id, protocol="HTTP", port=80 + number,
                        default_pool_id=installation.pool_id())
             for number, each in enumerate(listeners)]  # fmt: skip
    return wire.Document(spec=installation.amphora(revision=revision, listeners=tuple(ports)))


def _check(installation: Installation, turn: int, *, retired: bool) -> None:
    if turn == 2:
        assert retired
        assert traces(installation.names) == [installation.bridge]
        assert not (installation.state / "amphorae" / installation.amphora_id()).exists()
        return
    for port in range(80, 81 + turn):
        assert get(f"{installation.net}.10", port) == "backend0"
    wait_for(lambda: len(installation.engine_pids()) == 1, "one engine", installation.engine_pids)


class _Torn(Engine):
    """An engine whose first adoption fails after it took everything over."""

    async def adopt(self, spec_in_force: AmphoraSpec | None = None) -> None:
        """Take over, then fail as a full disk would have it."""
        await super().adopt(spec_in_force)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_engine_half_taken_over_is_let_go(running: Installation) -> None:
    """The next attempt's engine is the only one that keeps the process alive."""
    running.add_backend()
    running.gateway.send(wire.Document(spec=running.amphora()))
    running.gateway.in_force(running.amphora_id(), 1)
    running.end_agent(signal.SIGKILL)
    asyncio.run(_take_over(running))
    assert get(f"{running.net}.10") == "backend0"


async def _take_over(installation: Installation) -> None:
    engines: list[Engine] = []

    def make_engine(amphora_id: str, directory: Path, space: Space) -> Engine:
        kind = Engine if engines else _Torn
        engines.append(kind(amphora_id, directory, space, HaproxySettings()))
        return engines[-1]

    around = surroundings(installation, make_engine)
    spec = installation.amphora()
    record = AmphoraRecord(id=spec.amphora_id, epoch=1, revision=1, spec=spec)
    amphora = Amphora(around, record)
    running = asyncio.create_task(amphora.run())
    try:
        async with asyncio.timeout(10):
            while not (report := amphora.report()) or report.faults:
                await asyncio.sleep(0.01)
        assert [(await each.observe()).serving for each in engines] == [False, True]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await amphora.leave()
