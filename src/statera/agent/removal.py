"""Removes everything of one installation from the machine, and nothing else.

It goes by the names in the kernel, not by the agent's disk, so it also cleans up after a disk that
is gone.  The documents stay on disk: they are the user's wish, and the next agent makes them true
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from statera.agent.daemon import AgentSettings, locked
from statera.agent.disk import engines_below
from statera.agent.links import unplug
from statera.agent.names import Names
from statera.agent.namespace import Namespace, named
from statera.agent.processes import end_inside, wait_until_gone

LOG = logging.getLogger(__name__)

_PATIENCE = 10.0


async def remove_everything(settings: AgentSettings) -> None:
    """Remove every process, namespace, link and bridge of the installation, and wait until gone.

    Raises `Retryable` while an agent still runs, or if something does not go.
    """
    await asyncio.to_thread(_remove, settings)


def _remove(settings: AgentSettings) -> None:
    names = Names(settings.installation)
    with contextlib.ExitStack() as stack:
        if settings.state_dir.is_dir():
            stack.enter_context(locked(settings.state_dir))
        spaces = [Namespace(name) for name in named() if names.is_namespace(name)]
        inodes = {inode for space in spaces if (inode := space.inode()) is not None}
        end_inside(inodes, engines_below(settings.state_dir))
        for space in spaces:
            unplug(space)
            space.remove()
        _remove_links(names)
        wait_until_gone("links", lambda: _links(names), _PATIENCE)
    LOG.info("removal.done installation=%s namespaces=%d", settings.installation, len(spaces))


def _links(names: Names) -> list[int]:
    """Return the indexes of our links: ports first, so that no bridge goes before its ports."""
    with IPRoute() as ip:
        links = [(str(link.get("ifname")), int(link["index"])) for link in ip.get_links()]
    ports = [index for name, index in links if names.is_port(name)]
    return ports + [index for name, index in links if names.is_bridge(name)]


def _remove_links(names: Names) -> None:
    with IPRoute() as ip:
        for index in _links(names):
            with contextlib.suppress(NetlinkError):  # it went with its namespace
                ip.link("del", index=index)
