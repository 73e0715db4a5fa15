"""Removed members on their way out.

A removed member gets nothing new from the moment it is removed.  What it still serves runs to its
end, and only then HAProxy lets it be deleted; nobody waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib

from statera.agent.haproxy.processes import Processes
from statera.agent.haproxy.runtime import RuntimeGone, Session

_FIRST = 0.1
_SLOWEST = 5.0


class Drain:
    """Deletes servers in maintenance of one process as soon as they are free.

    All of them over one connection: HAProxy takes a hundred, and others need some too.
    """

    def __init__(self, patience: float, processes: Processes) -> None:
        self._patience = patience
        self._processes = processes
        self._deadlines: dict[tuple[str, str], float] = {}
        self._pause = _FIRST
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def servers(self) -> frozenset[tuple[str, str]]:
        """Return those not deleted yet, as (backend, member)."""
        return frozenset(self._deadlines)

    def add(self, backend: str, member_id: str) -> None:
        """Delete this server when its connections have ended; cut them after the patience."""
        deadline = asyncio.get_running_loop().time() + self._patience
        self._deadlines.setdefault((backend, member_id), deadline)
        self._pause = _FIRST
        self._news.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def clear(self) -> None:
        """Forget all: the process that had them is gone or leaving."""
        self._deadlines.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._deadlines and (process := self._processes.current) is not None:
            self._news.clear()
            with contextlib.suppress(RuntimeGone):
                session = await Session.open(process.socket)
                try:
                    for server in list(self._deadlines):
                        await self._delete(session, server)
                finally:
                    session.close()
            if self._deadlines:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), self._pause)
                self._pause = min(self._pause * 1.5, _SLOWEST)
        self._deadlines.clear()

    async def _delete(self, session: Session, server: tuple[str, str]) -> None:
        name = "/".join(server)
        reply = (await session.ask(f"del server {name}")).strip()
        if reply in ("Server deleted.", "No such server."):
            self._deadlines.pop(server, None)
            return
        if asyncio.get_running_loop().time() > self._deadlines[server]:
            await session.ask(f"shutdown sessions server {name}")
        # A connection that became idle in maintenance stays open, and in the way; going into
        # maintenance closes the idle ones.  A server in drain is not balanced to.
        await session.ask(f"set server {name} state drain")
        await session.ask(f"set server {name} state maint")
