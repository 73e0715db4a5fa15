"""A HAProxy process: started without a master, known again after a restart of the agent.

The agent makes the stats socket and hands it over as a descriptor, so a question can be asked at
once: it is answered when the process has bound everything and serves, or the connection breaks when
it has given up.  No polling, no guess.

Messages go to a FIFO that the agent reads.  The writing end never blocks and is bounded by the
kernel, it survives the agent, and a new agent opens it again: changes of member status show there
at once.
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
from collections.abc import Callable
from pathlib import Path

import msgspec

from statera.agent.haproxy import runtime
from statera.agent.space import Space
from statera.lb.errors import Final, Retryable

LOG = logging.getLogger(__name__)

STATS_VARIABLE = "STATERA_STATS"
STATS_ADDRESS = f"fd@${{{STATS_VARIABLE}}}"
_BACKLOG = 64
_KEEP = 1 << 18
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


class Messages:
    """Reads the FIFO of one process."""

    def __init__(self, path: Path) -> None:
        self._text = ""
        self._heard: Callable[[str], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._loop.add_reader(self._fd, self._read)

    def _read(self) -> bool:
        """Read once; say whether there may be more."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            # Nothing there, but somebody still holds the writing end.
            return False
        if not data:
            self.close()
            return False
        text = data.decode(errors="replace")
        if self._heard is None:
            self._text = (self._text + text)[-_KEEP:]
        else:
            self._heard(text)
        return True

    def listen(self, heard: Callable[[str], None]) -> None:
        """Hand everything that is said from now on to `heard`."""
        self._text = ""
        self._heard = heard

    def drain(self) -> str:
        """Return everything that an ended process said."""
        while self._fd >= 0 and self._read():
            pass
        return self._text

    def close(self) -> None:
        """Stop to listen."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


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
            self.send(signal.SIGKILL)
            await self.ended()
        self.remove()

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
    for path in (fifo, socket_path(launch.directory, launch.serial)):
        path.unlink(missing_ok=True)
    os.mkfifo(fifo, 0o600)
    messages = Messages(fifo)
    spawning = asyncio.ensure_future(asyncio.to_thread(_spawn, launch))
    try:
        spawned = await asyncio.shield(spawning)
    except asyncio.CancelledError:
        spawning.add_done_callback(_discard)
        messages.close()
        raise
    except OSError as error:
        messages.close()
        raise StartFailed(f"cannot run {launch.binary}: {error.strerror}") from error
    process = Process(spawned.record, launch.directory, messages, spawned.pidfd)
    try:
        await _await_service(process, launch.timeout)
    except BaseException:
        process.send(signal.SIGKILL)
        await process.ended()
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
    raise Refused(process.messages.drain())


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


def _spawn(launch: Launch) -> _Spawned:
    """Run HAProxy in its namespace.  Blocks for milliseconds."""
    path = socket_path(launch.directory, launch.serial)
    arguments = [launch.binary, "-db", "-f", str(launch.config)]
    husk: subprocess.Popen[bytes] | None = None
    if launch.previous is not None:
        arguments += ["-x", str(launch.previous.socket)]
        if launch.tables:
            husk = _husk()
            arguments += ["-sf", str(husk.pid)]
    messages = os.open(
        fifo_path(launch.directory, launch.serial), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
    )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stats:
            stats.bind(str(path))
            path.chmod(0o600)
            stats.listen(_BACKLOG)
            child = launch.space.call(lambda: _popen(arguments, stats.fileno(), messages))
    finally:
        os.close(messages)
    record = Record(child.pid, started(child.pid) or 0, launch.serial)
    pidfd = os.pidfd_open(child.pid)
    # From here the pidfd stands for the child, and `Process` reaps it.
    child.returncode = 0
    return _Spawned(record, pidfd, husk)


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


def _popen(arguments: list[str], stats: int, messages: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=messages,
        stderr=messages,
        pass_fds=(stats,),
        env={"PATH": os.environ.get("PATH", os.defpath), STATS_VARIABLE: str(stats)},
        cwd="/",
        start_new_session=True,
    )
