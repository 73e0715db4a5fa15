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
from collections.abc import Callable

from statera.agent.daemon import AgentSettings, locked
from statera.agent.disk import engines_below
from statera.agent.links import PATIENCE, remove_links
from statera.agent.names import Names
from statera.agent.namespace import Namespace, named
from statera.agent.processes import end_inside

LOG = logging.getLogger(__name__)


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
        remove_links(lambda: _links(names.is_port), PATIENCE)
        remove_links(lambda: _links(names.is_bridge), 0.0)
    LOG.info("removal.done installation=%s namespaces=%d", settings.installation, len(spaces))


def _links(is_ours: Callable[[str], bool]) -> list[int]:
    return [index for index, name in socket.if_nameindex() if is_ours(name)]
