"""Removed members on their way out.

A removed member gets nothing new from the moment it is removed.  What it still serves runs to its
end, and only then HAProxy lets it be deleted; nobody waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib

from statera.agent.haproxy import runtime
from statera.agent.haproxy.processes import Processes

_FIRST = 0.1
_SLOWEST = 5.0


class Drain:
    """Deletes servers in maintenance of one process as soon as they are free."""

    def __init__(self, patience: float, processes: Processes) -> None:
        self._patience = patience
        self._processes = processes
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def servers(self) -> frozenset[tuple[str, str]]:
        """Return those not deleted yet, as (backend, member)."""
        return frozenset(self._tasks)

    def add(self, backend: str, member_id: str) -> None:
        """Delete this server when its connections have ended; cut them after the patience."""
        server = (backend, member_id)
        if server not in self._tasks:
            self._tasks[server] = asyncio.create_task(self._delete(server))

    async def clear(self) -> None:
        """Forget all: the process that had them is gone or leaving."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _delete(self, server: tuple[str, str]) -> None:
        name = "/".join(server)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        pause = _FIRST
        while (process := self._processes.current) is not None:
            with contextlib.suppress(runtime.RuntimeGone):
                reply = (await runtime.command(process.socket, f"del server {name}")).strip()
                if reply in ("Server deleted.", "No such server."):
                    break
                if loop.time() > deadline:
                    await runtime.command(process.socket, f"shutdown sessions server {name}")
                # A connection that became idle in maintenance stays open, and in the way; going
                # into maintenance closes the idle ones.  A server in drain is not balanced to.
                await runtime.command(
                    process.socket, f"set server {name} state drain; set server {name} state maint"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _SLOWEST)
        self._tasks.pop(server, None)
