"""The state directory: everything an installation keeps, its short id, and its locks.

The short id is part of the name of everything made outside (namespaces, links, tables), so two
installations share a machine; it is made once and never changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

DEFAULT_ROOT = Path("/var/lib/statera")
SOCKET_PATH_LIMIT = 107
"""Longest path of a unix socket in bytes (`sun_path` is 108 with its terminating zero)."""
SOCKET_NAME_ROOM = 72
"""Bytes that names below the state directory need (longest: `/agent/amphorae/<id>/<file>.sock`)."""
_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class StateError(Exception):
    """The state directory cannot be used; the text says what to change."""


class Locked(StateError):
    """Somebody else holds the lock; `pid` is who, 0 when unknown."""

    def __init__(self, text: str, pid: int) -> None:
        super().__init__(text)
        self.pid = pid


def chosen_root(argument: str | None, environment: Mapping[str, str]) -> Path:
    """Return the state directory: the argument, `STATERA_STATE_DIR`, or the default."""
    return Path(argument or environment.get("STATERA_STATE_DIR") or DEFAULT_ROOT).absolute()


@dataclass(frozen=True, slots=True)
class State:
    """One state directory; the paths of what is in it."""

    root: Path

    @property
    def run(self) -> Path:
        """Sockets and status of running processes."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One log file per process of a detached installation."""
        return self.root / "log"

    @property
    def agent(self) -> Path:
        """What the machine's agent keeps."""
        return self.root / "agent"

    @property
    def configuration(self) -> Path:
        """The configuration file of this installation."""
        return self.root / "statera.conf"

    @property
    def clouds(self) -> Path:
        """The clouds.yaml with the first password."""
        return self.root / "clouds.yaml"

    @property
    def database_url(self) -> str:
        """The embedded database."""
        return f"sqlite:///{self.root / 'statera.db'}"

    @property
    def supervisor_socket(self) -> Path:
        """Where the supervisor answers questions about its children."""
        return self.run / "supervisor.sock"

    def prepare(self) -> None:
        """Make the directories, readable by their owner alone.

        Raise `StateError` when the path is too long for unix sockets or cannot be written.
        """
        check_socket_room(self.root)
        try:
            for folder in (self.root, self.run, self.logs, self.agent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StateError(f"cannot make the state directory {self.root}: {error}") from error

    def installation_id(self) -> str:
        """Return the short id (4 lower-case letters and digits, a letter first), made once."""
        path = self.root / "installation"
        with contextlib.suppress(FileNotFoundError):
            return path.read_text().strip()
        fresh = secrets.choice(_ID_LETTERS[:22]) + "".join(
            secrets.choice(_ID_LETTERS) for _ in range(3)
        )
        draft = self.root / f"installation.{os.getpid()}"
        draft.write_text(f"{fresh}\n")
        try:
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)  # the first of two processes wins, both read the same
        finally:
            draft.unlink()
        return path.read_text().strip()

    def known_id(self) -> str | None:
        """Return the short id if this directory was ever used."""
        with contextlib.suppress(OSError):
            return (self.root / "installation").read_text().strip()
        return None

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool) -> Iterator[None]:
        """Hold the lock `name`; it goes with the process.

        Raise `Locked` when `wait` is false and somebody else holds it.
        """
        with (self.root / f"{name}.lock").open("a+") as file:
            if not _acquire(file, wait):
                pid = _written_pid(self.root / f"{name}.lock")
                raise Locked(f"{self.root} is in use by process {pid or '?'}", pid)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def holder(self, name: str) -> int | None:
        """Return the pid of who holds the lock `name`, None when it is free."""
        path = self.root / f"{name}.lock"
        try:
            with path.open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return _written_pid(path)
        return None


def check_socket_room(root: Path) -> None:
    """Raise `StateError` when unix sockets below `root` would have too long a path."""
    longest = len(os.fsencode(root)) + SOCKET_NAME_ROOM
    if longest > SOCKET_PATH_LIMIT:
        over = longest - SOCKET_PATH_LIMIT
        raise StateError(
            f"the path {root} is {over} bytes too long for unix sockets "
            f"(the kernel takes {SOCKET_PATH_LIMIT}); choose a shorter --state-dir"
        )


def _acquire(file: IO[str], wait: bool) -> bool:
    """Take the lock; `holder` holds one for an instant, so a single refusal says nothing."""
    for _ in range(10):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def _written_pid(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0
