"""What the PING prober found, and bringing it into HAProxy.

A verdict goes in through the runtime API at once (`set server … health`), which HAProxy 2.6 takes
for servers without a check and shows as DOWN, not as maintenance; a new process begins with it
through the state file, so a dead member gets nothing after a reload either.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from statera.agent.haproxy import runtime
from statera.agent.haproxy.processes import Processes
from statera.agent.haproxy.statistics import DOWN
from statera.agent.prober import Key, Prober, Target
from statera.agent.space import Space
from statera.render.routes import routes
from statera.spec.document import AmphoraSpec, Monitor, Pool


class Verdicts:
    """Health of the members of pools with a PING monitor, by (pool, member)."""

    def __init__(self, space: Space, processes: Processes, on_change: Callable[[], None]) -> None:
        self.known: dict[Key, bool] = {}
        self._processes = processes
        self._on_change = on_change
        self._prober = Prober(space, self._judge)
        self._servers: dict[Key, list[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

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
        for key, healthy in self.known.items():
            await self._push(key, healthy)

    async def stop(self) -> None:
        """Probe nothing any more."""
        await self._prober.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _judge(self, key: Key, healthy: bool) -> None:
        self.known[key] = healthy
        task = asyncio.create_task(self._push(key, healthy))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._on_change()

    async def _push(self, key: Key, healthy: bool) -> None:
        """Tell the process in force.

        One that is being started meanwhile learned it from its state file, or is told by the
        `follow` that ends every change.
        """
        process = self._processes.current
        if process is None:
            return
        word = "up" if healthy else "down"
        for server in self._servers.get(key, []):
            with contextlib.suppress(runtime.RuntimeGone):
                await runtime.command(process.socket, f"set server {server} health {word}")


def _pinger(pool: Pool) -> Monitor | None:
    """Return the PING monitor of `pool`, None if it has no such monitor at work."""
    monitor = pool.monitor
    return monitor if monitor and monitor.enabled and monitor.type == "PING" else None
