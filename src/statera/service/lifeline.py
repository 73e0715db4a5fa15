"""Ties a process to its parent: when the parent dies, however it dies, the kernel kills the child.

A supervisor killed by `kill -9` must not leave children behind that hold its ports.  The kernel
sends the signal when the *thread* that made the child ends, so children are made by main threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def bind_to(parent_pid: int) -> None:
    """Let this process be killed when its parent dies; end at once if that already happened."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:
        os._exit(1)


def child_setup() -> Callable[[], None]:
    """Return what a child made by this process runs between fork and exec."""
    parent = os.getpid()

    def setup() -> None:
        bind_to(parent)

    return setup
