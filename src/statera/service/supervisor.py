"""Keeps the processes of `statera up` running.

A child that dies is started again, at once the first time and then with a growing back-off, and the
log says so.  Children die with the supervisor, even when that is killed; what the agent starts (the
data plane) runs in sessions of its own and stays.  Everything waits on descriptors: nothing polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statera.service.lifeline import child_setup
from statera.service.readiness import VARIABLE, Inbox, notify
from statera.service.settings import option

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """Group `supervisor`; times in seconds."""

    backoff_first: float = option(
        0.1, "Pause before the first restart; short, because most deaths are single.", min=0.0
    )
    backoff_max: float = option(
        30.0, "Longest pause before a restart; a broken child must not keep the machine busy."
    )
    stable_seconds: float = option(
        60.0, "A child that lived this long is restarted with the first back-off again."
    )
    stop_seconds: float = option(
        10.0, "Time a child has to end by itself; requests in flight need far less."
    )
    start_attempts: int = option(
        3, "A child that dies this often before all were ready once makes the start fail.", min=1
    )


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running; its output goes to `log` (None: to the supervisor's own)."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None


class _Keeper:
    """One child's life: the running process, its back-off, what the status says about it."""

    def __init__(self, child: Child, inbox: Inbox) -> None:
        self.child = child
        self.inbox = inbox
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.gone = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        self.ready = False
        self.was_ready = False
        self.restarts = 0
        self.early_deaths = 0
        self.backoff = 0.0
        self.started = 0.0
        self.last_exit: str | None = None

    def start(self) -> None:
        """Start the process; raise `OSError` when it cannot be executed."""
        self.inbox.read()  # a late message of the predecessor is not this one's
        self.ready = False
        self.gone.clear()
        self.started = time.monotonic()
        environment = {
            **os.environ,
            **self.child.environment,
            VARIABLE: str(self.inbox.path),
        }
        with contextlib.ExitStack() as stack:
            output = None
            if self.child.log is not None:
                output = stack.enter_context(self.child.log.open("ab"))
            self.process = subprocess.Popen(
                self.child.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # a Ctrl-C is the supervisor's: it stops them in order
                preexec_fn=child_setup(),  # noqa: PLW1509  the supervisor has one thread
            )
        self.pidfd = os.pidfd_open(self.process.pid)

    def reap(self) -> str:
        """Take the exit status of the process that ended and return it in words."""
        os.close(self.pidfd)
        self.pidfd = -1
        code = self.process.wait() if self.process else 0
        self.process = None
        self.ready = False
        self.last_exit = f"code {code}"
        if code < 0:
            self.last_exit = f"signal {-code}"
            with contextlib.suppress(ValueError):  # most real-time signals have no name
                self.last_exit = f"signal {signal.Signals(-code).name}"
        return self.last_exit

    def status(self) -> dict[str, Any]:
        """Return the line of this child in the status."""
        state = "ready" if self.ready else "starting" if self.process else "waiting"
        return {
            "name": self.child.name,
            "pid": self.process.pid if self.process else None,
            "state": state,
            "restarts": self.restarts,
            "uptime": round(time.monotonic() - self.started, 1) if self.process else 0.0,
            "last_exit": self.last_exit,
        }


class Supervisor:
    """Runs `children` until SIGTERM or SIGINT; keeps its sockets below `run`."""

    def __init__(
        self,
        children: Sequence[Child],
        run: Path,
        settings: SupervisorSettings,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._run = run
        self._settings = settings
        self._about = dict(about or {})
        self._keepers = [
            _Keeper(child, Inbox(run / f"ready-{child.name}.sock")) for child in children
        ]
        self._stop = asyncio.Event()
        self._all_ready = False
        self._failed: str | None = None
        self._started = time.monotonic()

    async def run(self) -> int:
        """Run until told to stop.  Return 0, or 1 when a child could not be started at first."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        path = self._run / "supervisor.sock"
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._answer, path)
        for keeper in self._keepers:
            loop.add_reader(keeper.inbox, self._hear, keeper)
            self._start(keeper)
        await self._stop.wait()
        server.close()
        path.unlink(missing_ok=True)
        await self._stop_all()
        return 1 if self._failed else 0

    def _start(self, keeper: _Keeper) -> None:
        keeper.timer = None
        loop = asyncio.get_running_loop()
        try:
            keeper.start()
        except OSError as error:
            LOG.error("child.unstartable child=%s error=%s", keeper.child.name, error)
            keeper.last_exit = str(error)
            self._after_death(keeper)
            return
        LOG.info("child.started child=%s pid=%d", keeper.child.name, keeper.process.pid)  # type: ignore[union-attr]
        loop.add_reader(keeper.pidfd, self._died, keeper)

    def _hear(self, keeper: _Keeper) -> None:
        for message in keeper.inbox.read():
            if message.get("READY") != "1" or keeper.ready or keeper.process is None:
                continue
            keeper.ready = keeper.was_ready = True
            took = time.monotonic() - keeper.started
            LOG.info("child.ready child=%s seconds=%.2f", keeper.child.name, took)
            notify(STATUS=f"{keeper.child.name} is ready ({took:.1f} s)")
        if not self._all_ready and all(each.was_ready for each in self._keepers):
            self._all_ready = True
            LOG.info("supervisor.ready seconds=%.2f", time.monotonic() - self._started)
            notify(READY="1", STATUS="everything is ready")

    def _died(self, keeper: _Keeper) -> None:
        asyncio.get_running_loop().remove_reader(keeper.pidfd)
        pid = keeper.process.pid if keeper.process else 0
        lived = time.monotonic() - keeper.started
        how = keeper.reap()
        keeper.gone.set()
        if self._stop.is_set():
            LOG.info("child.stopped child=%s pid=%d exit=%r", keeper.child.name, pid, how)
            return
        if lived >= self._settings.stable_seconds:
            keeper.backoff = 0.0
        LOG.warning(
            "child.died child=%s pid=%d exit=%r seconds=%.1f", keeper.child.name, pid, how, lived
        )
        self._after_death(keeper)

    def _after_death(self, keeper: _Keeper) -> None:
        """Plan the restart, or give the whole start up when it never worked."""
        if not self._all_ready:
            keeper.early_deaths += 1
            if keeper.early_deaths >= self._settings.start_attempts:
                self._failed = keeper.child.name
                LOG.error("supervisor.failed child=%s", keeper.child.name)
                notify(FAILED=keeper.child.name, STATUS=f"{keeper.child.name} does not start")
                self._stop.set()
                return
        first, last = self._settings.backoff_first, self._settings.backoff_max
        keeper.backoff = min(last, keeper.backoff * 2 if keeper.backoff else first)
        keeper.restarts += 1
        LOG.warning(
            "child.restarting child=%s restart=%d backoff=%.1f",
            keeper.child.name,
            keeper.restarts,
            keeper.backoff,
        )
        loop = asyncio.get_running_loop()
        keeper.timer = loop.call_later(keeper.backoff, self._start, keeper)

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Tell whoever connects how things are: one JSON object."""
        status = {
            **self._about,
            "pid": os.getpid(),
            "uptime": round(time.monotonic() - self._started, 1),
            "ready": all(keeper.ready for keeper in self._keepers),
            "processes": [keeper.status() for keeper in self._keepers],
        }
        with contextlib.suppress(OSError):
            writer.write(json.dumps(status).encode())
            await writer.drain()
        writer.close()

    async def _stop_all(self) -> None:
        for keeper in self._keepers:
            if keeper.timer is not None:
                keeper.timer.cancel()
        for keeper in reversed(self._keepers):
            await self._stop_one(keeper)
            keeper.inbox.close()

    async def _stop_one(self, keeper: _Keeper) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if keeper.process is None:
                return
            if number == signal.SIGKILL:
                LOG.warning("child.hanging child=%s pid=%d", keeper.child.name, keeper.process.pid)
            signal.pidfd_send_signal(keeper.pidfd, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(keeper.gone.wait(), self._settings.stop_seconds)
                return
