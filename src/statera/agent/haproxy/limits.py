"""How many connections the file descriptors of this machine allow.

HAProxy refuses to start when it computes more descriptors than the hard limit grants.  It counts
two for a connection and half a one for the pipes that splice (measured: 25,035 for
`maxconn 10000`), and then listeners, checks and threads.
"""

from __future__ import annotations

import os
import resource

from statera.spec.document import AmphoraSpec

_RESERVE = 512
"""Descriptors for threads, sockets of our own, and members that are added at run time."""
_PER_CONNECTION = 2.5
_LEAST = 100
_MOST = 1_000_000


def descriptors() -> int:
    """Return the hard limit of open files that a child of this process gets."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)


def connections(hard: int, spec: AmphoraSpec) -> int:
    """Return the connections that a process for `spec` may hold under the limit `hard`."""
    members = sum(len(pool.members) for pool in spec.pools)
    listeners = len(spec.listeners) * max(len(spec.vips), 1)
    left = hard - _RESERVE - 2 * members - 2 * listeners
    return max(int(left / _PER_CONNECTION), _LEAST)


def threads(wanted: int) -> int:
    """Return the number of threads: `wanted`, or one per usable processor (at most 64)."""
    return wanted or min(len(os.sched_getaffinity(0)), 64)
