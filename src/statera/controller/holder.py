"""The name under which a controller holds leases, and whether a name is of a dead one.

A controller that was killed leaves leases behind.  Its successor on the same machine need not wait
for their end: a name tells machine, boot and process, so a process that is gone is known to be.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def ours() -> str:
    """Return a name for this process, another one at each call."""
    pid = os.getpid()
    return f"{_place()}:{pid}:{_started(pid)}:{uuid.uuid4().hex[:8]}"


def is_dead(name: str) -> bool:
    """Say whether a name is of a process of this machine that is gone; False if in doubt."""
    place, _, rest = name.partition(":")
    pid, _, more = rest.partition(":")
    if place != _place() or not pid.isdigit():
        return False
    return _started(int(pid)) != more.partition(":")[0]


def _place() -> str:
    """Return what tells this boot of this machine, and this space of process ids, from others."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"


def _started(pid: int) -> str | None:
    """Return when a process started, in ticks since the boot; None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]
