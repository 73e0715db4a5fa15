"""The state directory: everything an installation keeps, its short id, and its locks.

The short id is part of the name of everything made outside (namespaces, links, tables), so two
installations share a machine; it is made once and never changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path("/var/lib/statera")
SOCKET_PATH_LIMIT = 107
"""Longest path of a unix socket in bytes (`sun_path` is 108 with its terminating zero)."""
SOCKET_NAME_ROOM = 72
"""Bytes that names below the state directory need (longest: `/agent/amphorae/<id>/<file>.sock`)."""
_FLOCK = "hhqqi0q"
"""The kernel's `struct flock`: type, whence, start, length, pid."""
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
        """Make the directories, readable by their owner alone, and the short id.

        Raise `StateError` when the path is too long for unix sockets, cannot be written, or may be
        written by others, who could put links there for us to follow.
        """
        check_socket_room(self.root)
        try:
            for folder in (self.root, self.run, self.logs, self.agent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                found = folder.stat()
                if found.st_uid != os.geteuid() or found.st_mode & 0o022:
                    raise StateError(
                        f"{folder} may be written by others; choose another --state-dir"
                    )
        except OSError as error:
            raise StateError(f"cannot make the state directory {self.root}: {error}") from error
        self.installation_id()  # from here on `down` has something to do

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
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "installation").read_text().strip()
        return None

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool) -> Iterator[None]:
        """Hold the lock `name`; it goes with the process.

        Raise `Locked` when `wait` is false and somebody else holds it.
        """
        with (self.root / f"{name}.lock").open("a") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                pid = self.holder(name) or 0
                raise Locked(f"{self.root} is in use by process {pid or '?'}", pid) from error
            yield

    def holder(self, name: str) -> int | None:
        """Return the pid of who else holds the lock `name`, None when nobody does.

        The kernel says it, so it is never the pid of one that is gone.  Not for the process that
        holds the lock: a POSIX lock is lost when its process closes the file once.
        """
        try:
            with (self.root / f"{name}.lock").open("rb") as file:
                asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                said = fcntl.fcntl(file, fcntl.F_GETLK, asked)
        except FileNotFoundError:
            return None
        kind, _, _, _, pid = struct.unpack(_FLOCK, said)
        return None if kind == fcntl.F_UNLCK else int(pid)


def check_socket_room(root: Path) -> None:
    """Raise `StateError` when unix sockets below `root` would have too long a path."""
    longest = len(os.fsencode(root)) + SOCKET_NAME_ROOM
    if longest > SOCKET_PATH_LIMIT:
        over = longest - SOCKET_PATH_LIMIT
        raise StateError(
            f"the path {root} is {over} bytes too long for unix sockets "
            f"(the kernel takes {SOCKET_PATH_LIMIT}); choose a shorter --state-dir"
        )
