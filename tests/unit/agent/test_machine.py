"""What a machine remembers of what is gone: enough to refuse older documents, and no more."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path

import pytest

from statera.agent.machine import Changes, Machine
from statera.spec import wire
from statera.spec.report import AmphoraReport
from tests.unit.agent.surroundings import surroundings


def test_what_is_retired_leaves_no_work(tmp_path: Path) -> None:
    """Nothing runs for it any more; it is still held, reported, and only a newer wish counts."""
    if os.geteuid() != 0:
        pytest.skip("needs root: looks for a network namespace")
    asyncio.run(_retire_many(tmp_path, [str(uuid.uuid4()) for _ in range(50)]))


async def _retire_many(folder: Path, ids: list[str]) -> None:
    changes = Changes()
    machine = Machine(surroundings(folder, changes.note), changes, 1.0)
    before = len(asyncio.all_tasks())
    for object_id in ids:
        machine.obey(wire.Retire(amphora_id=object_id, epoch=1, revision=2))
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.01)
    hello = await machine.hello("m", ())
    assert {(each.id, each.revision) for each in hello.held} == {(each, 2) for each in ids}
    assert list(machine.reports(None)) == []
    changes.take()
    machine.obey(wire.Retire(amphora_id=ids[0], epoch=1, revision=1))
    (report,) = machine.reports(changes.take())
    assert isinstance(report, AmphoraReport)
    assert (report.amphora_id, report.revision, report.retired) == (ids[0], 2, True)
    await machine.leave()
