"""What amphorae and networks ask of the machine: the seam to its kernel.

On a machine it is `agent.linux`; the simulation has a model of a kernel behind it.  Everything but
`space`, `inode` and `announce` blocks and is called from worker threads; it may raise what
`agent.outcome` knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from statera.agent.announce import Announcement
from statera.agent.space import Space
from statera.spec.document import AmphoraSpec, NetworkSpec


class Host(Protocol):
    """The kernel of one machine, as far as one installation uses it."""

    def space(self, amphora_id: str) -> Space:
        """Return where the amphora's processes live; it need not exist yet."""
        ...

    def inode(self, amphora_id: str) -> int | None:
        """Return the number of the amphora's namespace, None while there is none."""
        ...

    def links(self) -> frozenset[str]:
        """Return the names of all links of the machine."""
        ...

    def prepare(self, amphora_id: str) -> None:
        """Make the amphora's namespace and its own settings; nothing happens where they are right.

        Raise `Final` if its name is taken by another amphora.
        """
        ...

    def plug(self, spec: AmphoraSpec) -> list[Announcement]:
        """Give the amphora exactly the interfaces of `spec`; return what neighbours should be told.

        Raise `Retryable` while a network of it is not on this machine.
        """
        ...

    async def announce(self, amphora_id: str, announcements: Sequence[Announcement]) -> None:
        """Tell neighbours which addresses the amphora has now."""
        ...

    def remove(self, amphora_id: str, engine: Path) -> bool:
        """Remove the amphora's namespace with all that is in it; `engine` is its engine's folder.

        Nothing happens to a namespace of that name that is another amphora's.  Return whether there
        was anything.
        """
        ...

    def converge_bridge(self, spec: NetworkSpec) -> bool:
        """Make the bridge of a network what `spec` wishes; return whether it is a new one.

        Raise `Retryable` when a subnet overlaps a range that the machine itself uses.
        """
        ...

    def remove_bridge(self, network_id: str) -> None:
        """Remove the bridge of a network if it is there."""
        ...

    def end_strays(self, engines: Path) -> int:
        """End engines whose namespace lost its name; `engines` holds their folders.

        Return how many there were; raise `Retryable` if they do not go.
        """
        ...

    def ranges(self) -> tuple[str, ...]:
        """Return the ranges (CIDRs) that the machine itself uses."""
        ...
