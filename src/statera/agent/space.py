"""Where the processes and sockets of one amphora live: the seam to network namespaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Space(Protocol):
    """A network namespace.

    `call` runs `work` on a thread that is inside the namespace and returns its result: a process or
    a socket made by `work` belongs to the namespace.  It blocks, so call it off the event loop.
    """

    @property
    def name(self) -> str:
        """Name of the namespace, for logs."""
        ...

    def call(self, work: Callable[[], T]) -> T:
        """Run `work` inside; its exceptions come out unchanged."""
        ...
