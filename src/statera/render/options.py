"""What the renderer must know about the machine and the installation: everything but the wish."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Options:
    """Facts about the place where HAProxy runs.

    `stats_socket` is an address of HAProxy (a path, or `fd@…` where `${NAME}` stands for a variable
    of its environment).  `max_connections` is what the machine's file descriptors allow, see
    `agent.haproxy.limits`; every limit of a listener is cut down to it.
    """

    stats_socket: str
    state_file: str
    """Where HAProxy reads the states of servers from when it starts."""
    chroot: str
    user: str = "haproxy"
    group: str = "haproxy"
    max_connections: int = 7000
    connection_limit: int = 50_000
    """Limit of a listener that asks for none."""
    threads: int = 1
    hard_stop_after: int = 1800
    """Seconds that a process replaced by a reload may still serve its connections."""
    stick_entries: int = 10_240
    """Entries of a session persistence table."""
