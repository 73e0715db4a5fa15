"""What amphorae and networks share, for tests that make nothing on the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from statera.agent.amphora import Surroundings
from statera.agent.convergence import Pace
from statera.agent.disk import Disk
from statera.agent.haproxy.engine import Engine
from statera.agent.haproxy.settings import HaproxySettings
from statera.agent.linux import LinuxHost
from statera.agent.names import Names


def surroundings(folder: Path, changed: Callable[[str], None]) -> Surroundings:
    """Return the surroundings of a machine that keeps its documents below `folder`."""
    names = Names("zz")
    return Surroundings(
        names=names,
        host=LinuxHost(names),
        disk=Disk(folder),
        make_engine=lambda amphora_id, directory, space: Engine(
            amphora_id, directory, space, HaproxySettings()
        ),
        pace=Pace(),
        patience=10.0,
        slots=asyncio.Semaphore(8),
        changed=changed,
    )
