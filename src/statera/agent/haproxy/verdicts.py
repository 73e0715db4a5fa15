"""What the PING prober found, and bringing it into HAProxy.

A verdict goes in through the runtime API at once (`set server … health`), which HAProxy 2.6 takes
for servers without a check and shows as DOWN, not as maintenance; a new process begins with it
through the state file, so a dead member gets nothing after a reload either.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from statera.agent.haproxy.processes import Processes
from statera.agent.haproxy.runtime import RuntimeGone, Session
from statera.agent.haproxy.statistics import DOWN
from statera.agent.prober import Key, Prober, Target
from statera.agent.space import Space
from statera.render.routes import routes
from statera.spec.document import AmphoraSpec, Monitor, Pool

_AGAIN = 0.5


class Verdicts:
    """Health of the members of pools with a PING monitor, by (pool, member)."""

    def __init__(self, space: Space, processes: Processes, on_change: Callable[[], None]) -> None:
        self.known: dict[Key, bool] = {}
        self._processes = processes
        self._on_change = on_change
        self._prober = Prober(space, self._judge)
        self._servers: dict[Key, list[str]] = {}
        self._owed: set[Key] = set()
        self._paying: asyncio.Task[None] | None = None

    def recall(self, spec: AmphoraSpec) -> None:
        """Take over the verdicts that the running HAProxy holds, after a restart of the agent."""
        for backend in routes(spec).backends:
            if _pinger(backend.pool) is None:
                continue
            for member in backend.pool.members:
                shown = self._processes.reading.servers.get((backend.name, member.id), "")
                if shown.startswith(DOWN):
                    self.known[backend.pool.id, member.id] = False

    async def follow(self, spec: AmphoraSpec) -> None:
        """Probe the members that `spec` wants probed, and push what is known of them."""
        targets: dict[Key, Target] = {}
        servers: dict[Key, list[str]] = {}
        for backend in routes(spec).backends:
            monitor = _pinger(backend.pool)
            if monitor is None:
                continue
            for member in backend.pool.members:
                if not member.enabled:
                    continue
                key = (backend.pool.id, member.id)
                servers.setdefault(key, []).append(f"{backend.name}/{member.id}")
                targets[key] = Target(
                    key=key,
                    address=member.monitor_address or member.address,
                    delay=max(monitor.delay, 1),
                    timeout=max(monitor.timeout, 1),
                    rise=monitor.rise,
                    fall=monitor.fall,
                )
        self._servers = servers
        self.known = {key: healthy for key, healthy in self.known.items() if key in targets}
        await self._prober.aim(targets.values(), self.known)
        self._owed |= self.known.keys()
        await self._push()
        self._pay()

    async def stop(self) -> None:
        """Probe nothing any more."""
        await self._prober.stop()
        self._owed.clear()
        if self._paying is not None:
            self._paying.cancel()
            await asyncio.gather(self._paying, return_exceptions=True)

    def _judge(self, key: Key, healthy: bool) -> None:
        self.known[key] = healthy
        self._owed.add(key)
        self._pay()
        self._on_change()

    def _pay(self) -> None:
        if self._owed and (self._paying is None or self._paying.done()):
            self._paying = asyncio.create_task(self._push_all())

    async def _push_all(self) -> None:
        """Tell the process in force until it has heard everything: no verdict may get lost."""
        while self._owed:
            await self._push()
            if self._owed:
                await asyncio.sleep(_AGAIN)

    async def _push(self) -> None:
        """Tell the process in force what it has not heard; what it does not take stays owed.

        One that is being started meanwhile learned it from its state file, or is told by the
        `follow` that ends every change.
        """
        process = self._processes.current
        if process is None:
            self._owed.clear()
        if process is None or not self._owed:
            return
        with contextlib.suppress(RuntimeGone):
            session = await Session.open(process.socket)
            try:
                for key in list(self._owed):
                    word = "up" if self.known.get(key, True) else "down"
                    for server in self._servers.get(key, []):
                        await session.ask(f"set server {server} health {word}")
                    if word == ("up" if self.known.get(key, True) else "down"):
                        self._owed.discard(key)
            finally:
                session.close()


def _pinger(pool: Pool) -> Monitor | None:
    """Return the PING monitor of `pool`, None if it has no such monitor at work."""
    monitor = pool.monitor
    return monitor if monitor and monitor.enabled and monitor.type == "PING" else None
