"""Removes everything of one installation from the machine, and nothing else.

It goes by the names in the kernel, not by the agent's disk, so it also cleans up after a disk that
is gone.  The documents stay on disk: they are the user's wish, and the next agent makes them true
again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from statera.agent.daemon import AgentSettings, locked
from statera.agent.disk import engines_below
from statera.agent.names import Names
from statera.agent.namespace import Namespace, named
from statera.agent.processes import end_inside, wait_until_gone
from statera.lb.errors import Retryable

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
            space.remove()
        # The kernel takes the links with the namespaces, many at a time; one by one is slower.
        with contextlib.suppress(Retryable):
            wait_until_gone("ports", lambda: _ports(names), _PATIENCE)
        _remove_links(names)
        wait_until_gone("links", lambda: _links(names), _PATIENCE)
    LOG.info("removal.done installation=%s namespaces=%d", settings.installation, len(spaces))


def _ports(names: Names) -> list[int]:
    return [index for index, name in socket.if_nameindex() if names.is_port(name)]


def _links(names: Names) -> list[int]:
    """Return the indexes of our links: ports first, so that no bridge goes before its ports."""
    bridges = [index for index, name in socket.if_nameindex() if names.is_bridge(name)]
    return _ports(names) + bridges


def _remove_links(names: Names) -> None:
    with IPRoute() as ip:
        for index in _links(names):
            with contextlib.suppress(NetlinkError):  # it went with its namespace
                ip.link("del", index=index)
