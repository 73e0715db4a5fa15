"""A HAProxy process: started without a master, known again after a restart of the agent.

The agent makes the stats socket and hands it over as a descriptor, so a question can be asked at
once: it is answered when the process has bound everything and serves, or the connection breaks when
it has given up.  No polling, no guess.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import socket
import subprocess
from pathlib import Path

import msgspec

from statera.agent.haproxy import runtime
from statera.agent.haproxy.messages import Messages
from statera.agent.space import Space
from statera.lb.errors import Final, Retryable

LOG = logging.getLogger(__name__)

STATS_VARIABLE = "STATERA_STATS"
STATS_ADDRESS = f"fd@${{{STATS_VARIABLE}}}"
_SERIAL_VARIABLE = "STATERA_SERIAL"
_BACKLOG = 64
_ALERT = "[ALERT]"
_KILL_AFTER = 5.0


class Record(msgspec.Struct, frozen=True):
    """What finds a process again: `started` is field 22 of /proc/<pid>/stat, in clock ticks."""

    pid: int
    started: int
    serial: int

    @classmethod
    def of(cls, pid: int, serial: int) -> Record | None:
        """Return the record of a running process, None if there is none."""
        began = started(pid)
        return None if began is None else cls(pid, began, serial)


class Refused(Final):
    """HAProxy did not take the configuration; `messages` is what it said."""

    def __init__(self, messages: str) -> None:
        super().__init__("HAProxy refused the configuration")
        self.messages = messages


class StartFailed(Retryable):
    """HAProxy could not be started, and that says nothing about the configuration."""


@dataclasses.dataclass(frozen=True)
class Launch:
    """Everything a start needs.  `tables`: persistence tables are to be handed over."""

    binary: str
    directory: Path
    serial: int
    config: Path
    space: Space
    timeout: float
    previous: Process | None = None
    tables: bool = False


class Process:
    """A running HAProxy, ours or inherited."""

    def __init__(self, record: Record, directory: Path, messages: Messages, pidfd: int) -> None:
        self.record = record
        self.messages = messages
        self.socket = socket_path(directory, record.serial)
        self._fifo = fifo_path(directory, record.serial)
        self._pidfd = pidfd
        self._gone = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pidfd, self._ended)

    @classmethod
    def adopt(cls, record: Record, directory: Path) -> Process | None:
        """Return the process of `record` if it still runs, else None."""
        try:
            pidfd = os.pidfd_open(record.pid)
        except OSError:
            return None
        # The number may have been given away: checked after opening, so it cannot change any more.
        if started(record.pid) != record.started:
            os.close(pidfd)
            return None
        fifo = fifo_path(directory, record.serial)
        if not fifo.exists():
            os.mkfifo(fifo, 0o600)
        return cls(record, directory, Messages(fifo), pidfd)

    @property
    def alive(self) -> bool:
        """Say whether the process has not been seen to end."""
        return not self._gone.is_set()

    async def ended(self) -> None:
        """Wait for the end of the process."""
        await self._gone.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    async def end(self) -> None:
        """End the process and what it serves; return when it is gone."""
        self.send(signal.SIGTERM)
        try:
            async with asyncio.timeout(_KILL_AFTER):
                await self.ended()
        except TimeoutError:
            await self.kill()
        self.remove()

    async def kill(self) -> None:
        """End the process at once; return when it is gone."""
        self.send(signal.SIGKILL)
        await self.ended()

    async def answers(self, patience: float) -> bool:
        """Say whether the process answers within `patience` seconds.

        It is asked twice: after a pause of the whole machine, or of this process alone, the first
        answer seems late although it is not.
        """
        for _ in range(2):
            pause = asyncio.ensure_future(asyncio.sleep(patience / 2))
            try:
                await runtime.command(self.socket, "show version", patience / 2)
            except runtime.RuntimeGone:
                await pause
            else:
                return True
            finally:
                pause.cancel()
        return False

    def remove(self) -> None:
        """Remove the files of an ended process."""
        self.release()
        for path in (self.socket, self._fifo):
            path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let go of the process without touching it."""
        self.messages.close()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _ended(self) -> None:
        self._loop.remove_reader(self._pidfd)
        # Ours is reaped here; of one that was inherited we are not the parent.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        self._gone.set()


def socket_path(directory: Path, serial: int) -> Path:
    """Return where process `serial` answers.  Each has its own: two run during a reload."""
    return directory / f"{serial}.sock"


def fifo_path(directory: Path, serial: int) -> Path:
    """Return where process `serial` writes its messages."""
    return directory / f"{serial}.err"


def started(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


async def start(launch: Launch) -> Process:
    """Start a process and return it when it serves.

    The process of `launch.previous` is not touched, whatever happens here.  Raise `Refused` if
    HAProxy does not take the configuration, `StartFailed` if it cannot be run.
    """
    fifo = fifo_path(launch.directory, launch.serial)
    files = (fifo, socket_path(launch.directory, launch.serial))
    for path in files:
        path.unlink(missing_ok=True)
    os.mkfifo(fifo, 0o600)
    messages = Messages(fifo)
    spawning = asyncio.ensure_future(asyncio.to_thread(_spawn, launch))
    try:
        spawned = await asyncio.shield(spawning)
    except BaseException as error:
        messages.close()
        if isinstance(error, asyncio.CancelledError):
            spawning.add_done_callback(_discard)
            raise
        for path in files:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StartFailed(f"cannot run {launch.binary}: {error.strerror}") from error
        raise
    process = Process(spawned.record, launch.directory, messages, spawned.pidfd)
    try:
        await _await_service(process, launch.timeout)
    except BaseException:
        await process.kill()
        process.remove()
        raise
    finally:
        spawned.bury()
    return process


async def _await_service(process: Process, timeout: float) -> None:
    """Return when `process` serves; raise `Refused` or `StartFailed`."""
    try:
        async with asyncio.timeout(timeout):
            try:
                reply = await runtime.command(process.socket, "show info", timeout)
            except runtime.RuntimeGone:
                reply = ""
            if reply.startswith("Name:"):
                return
            await process.ended()
    except TimeoutError as error:
        raise StartFailed(f"HAProxy did not start within {timeout:g} s") from error
    messages = process.messages.drain()
    if _ALERT not in messages:
        # It was killed: by the kernel for lack of memory, for instance.
        raise StartFailed("HAProxy ended at its start without a reason")
    raise Refused(messages)


@dataclasses.dataclass(frozen=True)
class _Spawned:
    """A child that was just made, and the husk that it took for its predecessor."""

    record: Record
    pidfd: int
    husk: subprocess.Popen[bytes] | None

    def bury(self) -> None:
        """Reap the husk."""
        if self.husk is not None:
            self.husk.wait()


def _discard(spawning: asyncio.Future[_Spawned]) -> None:
    """End a child whose start was given up before it was there."""
    if spawning.cancelled() or spawning.exception() is not None:
        return
    spawned = spawning.result()
    signal.pidfd_send_signal(spawned.pidfd, signal.SIGKILL)
    os.waitid(os.P_PIDFD, spawned.pidfd, os.WEXITED)
    os.close(spawned.pidfd)
    spawned.bury()


def running(config: Path) -> list[Record]:
    """Return the processes that were started with `config`.  Reads all of /proc: milliseconds."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry)
            words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            if os.fsencode(config) not in words:
                continue
            prefix = f"{_SERIAL_VARIABLE}=".encode()
            for word in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                if word.startswith(prefix):
                    record = Record.of(pid, int(word.removeprefix(prefix)))
                    found += [record] if record else []
    return found


def _spawn(launch: Launch) -> _Spawned:
    """Run HAProxy in its namespace.  Blocks for milliseconds."""
    arguments = [launch.binary, "-db", "-f", str(launch.config)]
    husk: subprocess.Popen[bytes] | None = None
    if launch.previous is not None:
        arguments += ["-x", str(launch.previous.socket)]
        if launch.tables:
            husk = _husk()
            arguments += ["-sf", str(husk.pid)]
    child: subprocess.Popen[bytes] | None = None
    try:
        child = _run(launch, arguments)
        record = Record(child.pid, started(child.pid) or 0, launch.serial)
        pidfd = os.pidfd_open(child.pid)
    except BaseException:
        for made in (husk, child):
            if made is not None:
                made.kill()
                made.wait()
        raise
    # From here the pidfd stands for the child, and `Process` reaps it.
    child.returncode = 0
    return _Spawned(record, pidfd, husk)


def _run(launch: Launch, arguments: list[str]) -> subprocess.Popen[bytes]:
    path = socket_path(launch.directory, launch.serial)
    messages = os.open(
        fifo_path(launch.directory, launch.serial), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stats:
            stats.bind(str(path))
            path.chmod(0o600)
            stats.listen(_BACKLOG)
            variables = {
                "PATH": os.environ.get("PATH", os.defpath),
                STATS_VARIABLE: str(stats.fileno()),
                _SERIAL_VARIABLE: str(launch.serial),
            }
            return launch.space.call(
                lambda: subprocess.Popen(
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=messages,
                    stderr=messages,
                    pass_fds=(stats.fileno(),),
                    env=variables,
                    cwd="/",
                    start_new_session=True,
                )
            )
    finally:
        os.close(messages)


def _husk() -> subprocess.Popen[bytes]:
    """Return a child that has ended and is not yet reaped.

    HAProxy waits for persistence tables from its predecessor only if it could signal one (`-sf`).
    But it does so before it serves, and when it cannot bind it first makes the old process let go
    of its ports.  So it signals this husk, which cannot mind, and the real predecessor is told to
    leave by us, once the new process serves.
    """
    husk = subprocess.Popen(["true"], stdin=subprocess.DEVNULL)
    os.waitid(os.P_PID, husk.pid, os.WEXITED | os.WNOWAIT)
    return husk
