"""The machine under the agent: Linux, by netlink, namespaces and signals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from statera.agent import bridges, links
from statera.agent.announce import Announcement, announce
from statera.agent.kernel import link_names, present
from statera.agent.names import Names
from statera.agent.namespace import Namespace
from statera.agent.processes import end_inside, end_strays
from statera.agent.ranges import machine_ranges
from statera.spec.document import AmphoraSpec, NetworkSpec


class LinuxHost:
    """Implements `agent.host.Host`."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def space(self, amphora_id: str) -> Namespace:
        """Return the amphora's network namespace."""
        return Namespace(self._names.namespace(amphora_id))

    def inode(self, amphora_id: str) -> int | None:
        """Return the number of the amphora's namespace, None while there is none."""
        return self.space(amphora_id).inode()

    def links(self) -> frozenset[str]:
        """Return the names of all links of the machine."""
        return link_names()

    def prepare(self, amphora_id: str) -> None:
        """Make the amphora's namespace and its own settings."""
        links.prepare(self.space(amphora_id), amphora_id)

    def plug(self, spec: AmphoraSpec) -> list[Announcement]:
        """Give the amphora exactly the interfaces of `spec`."""
        return links.plug(self._names, self.space(spec.amphora_id), spec)

    async def announce(self, amphora_id: str, announcements: Sequence[Announcement]) -> None:
        """Tell neighbours which addresses the amphora has now."""
        await announce(self.space(amphora_id), announcements)

    def remove(self, amphora_id: str, engine: Path) -> bool:
        """Remove the amphora's namespace with all that is in it; return whether there was any."""
        space = self.space(amphora_id)
        inode = space.inode()
        foreign = inode is not None and links.owner(space) not in {amphora_id, ""}
        mine = set() if inode is None or foreign else {inode}
        there = bool(mine) or engine.exists()
        if there:
            end_inside(mine, engine)
        ends = links.ports(self._names, space) if mine else set()
        if not foreign:  # also the bare file that is left of one by a crash in here
            space.remove()
        links.remove_links(lambda: present(ends), links.PATIENCE)
        return there

    def converge_bridge(self, spec: NetworkSpec) -> bool:
        """Make the bridge of a network what `spec` wishes; return whether it is a new one."""
        return bridges.converge_bridge(self._names, spec)

    def remove_bridge(self, network_id: str) -> None:
        """Remove the bridge of a network if it is there."""
        bridges.remove_bridge(self._names, network_id)

    def end_strays(self, engines: Path) -> int:
        """End engines whose namespace lost its name."""
        return end_strays(self._names, engines)

    def ranges(self) -> tuple[str, ...]:
        """Return the ranges (CIDRs) that the machine itself uses."""
        return machine_ranges(self._names.is_bridge)
