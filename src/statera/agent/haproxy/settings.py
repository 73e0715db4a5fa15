"""Settings of the HAProxy engine."""

from __future__ import annotations

import dataclasses

from statera.service.settings import option


@dataclasses.dataclass(frozen=True)
class HaproxySettings:
    """How HAProxy runs on this machine."""

    binary: str = option("haproxy", "Program to run; the distribution's is on the path.")
    user: str = option("haproxy", "User it runs as; Debian's package makes this one.")
    group: str = option("haproxy", "Group it runs as; Debian's package makes this one.")
    threads: int = option(
        0, "Threads of one process; 0: one per processor that the agent may use.", min=0, max=64
    )
    connection_limit: int = option(
        50_000,
        "Connections of a listener that sets no limit; cut down to what file descriptors allow.",
        min=1,
    )
    hard_stop_after: int = option(
        1800,
        "Seconds that a process replaced by a reload may serve its connections to their end: "
        "half an hour lets downloads finish and bounds the memory of old processes.",
        min=1,
    )
    start_timeout: float = option(
        15.0,
        "Seconds until a start counts as failed; a start takes 0.03, but machines are sometimes "
        "very busy.",
        min=1,
    )
    leaving_limit: int = option(
        16,
        "Processes of one amphora that were replaced by reloads and may still serve; with more, "
        "the oldest is ended, so that reloads cannot fill the machine's memory.",
        min=1,
    )
    hang_patience: float = option(
        5.0,
        "Seconds without an answer after which a process counts as hung and is replaced; an answer "
        "takes milliseconds.",
        min=1,
    )
    restart_ceiling: float = option(
        30.0, "Longest pause, in seconds, between restarts of a process that keeps dying.", min=1
    )
