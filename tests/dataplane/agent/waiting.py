"""Waiting for a condition with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE = 20.0


def wait_for(
    condition: Callable[[], bool],
    what: str,
    context: Callable[[], object] = lambda: "",
    deadline: float = DEADLINE,
) -> None:
    """Return when `condition` holds; fail with `what` and the context after the deadline."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}: {context()}"
        time.sleep(0.005)
