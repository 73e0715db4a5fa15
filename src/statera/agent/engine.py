"""What an amphora asks of the engine that moves its traffic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from statera.agent.space import Space
from statera.spec.document import AmphoraSpec
from statera.spec.report import Fault, ListenerReport, PoolReport


class EngineState(Protocol):
    """What an engine says of itself."""

    @property
    def serving(self) -> bool:
        """Whether its process is up."""

    @property
    def listeners(self) -> tuple[ListenerReport, ...]:
        """Its listeners, with cumulative counters."""

    @property
    def pools(self) -> tuple[PoolReport, ...]:
        """Its pools with the state of their members."""


class Engine(Protocol):
    """The engine of one amphora.

    It keeps its processes alive by itself, and they outlive the agent's.
    """

    on_change: Callable[[], None]
    """Called on the event loop when there may be something new to observe."""

    async def adopt(self, spec_in_force: AmphoraSpec | None, /) -> None:
        """Take over processes that an earlier agent left; None: there can be none that is right."""

    async def apply(self, spec: AmphoraSpec, /) -> tuple[Fault, ...]:
        """Bring `spec` into force by the least disturbing way; return what is not, and why."""

    async def observe(self) -> EngineState:
        """Return what is true now."""

    async def detach(self) -> None:
        """Let go of the processes; they go on."""

    async def stop(self) -> None:
        """End every process."""


MakeEngine = Callable[[str, Path, Space], Engine]
"""Makes the engine of (amphora id, its own directory, its namespace)."""
