"""Network namespaces: made, entered, listed and removed without any other program.

A namespace is entered by a thread of its own, never by one that others use: a thread that failed
to come back would do the next one's work in the wrong network.  A process or socket made in that
thread belongs to the namespace for good.  They are mounted where `ip netns` looks.

Every function here blocks (about a millisecond) and needs CAP_SYS_ADMIN.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from statera.lb.errors import Retryable

FOLDER = Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_MS_BIND = 4096
_MS_REC = 16384
_MS_SHARED = 1 << 20
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


class Namespace:
    """One network namespace by name; it need not exist yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = FOLDER / name

    def exists(self) -> bool:
        """Return whether the namespace is there (the bare file left by a crash is not one)."""
        return self.inode() is not None

    def inode(self) -> int | None:
        """Return the number that tells it from every other namespace, None while there is none."""
        try:
            status = os.stat(self.path)
            return status.st_ino if status.st_dev != os.stat(FOLDER).st_dev else None
        except FileNotFoundError:
            return None

    def create(self) -> bool:
        """Make the namespace; return False if it was there already."""
        if self.exists():
            return False
        with _folder_locked():
            self.path.unlink(missing_ok=True)
            os.close(os.open(self.path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0))
            try:
                _in_thread(self._unshare)
            except OSError:
                self.path.unlink(missing_ok=True)
                raise
        return True

    def remove(self) -> bool:
        """Unmount the namespace; it ends with its last process.  False if there was none."""
        found = self.exists()
        _libc.umount2(os.fsencode(self.path), _MNT_DETACH)
        self.path.unlink(missing_ok=True)
        return found

    def call(self, work: Callable[[], T]) -> T:
        """Run `work` on a thread inside the namespace and return what it returns.

        Raises what `work` raises, and `Retryable` if the namespace is not there.
        """

        def inside() -> T:
            self._enter()
            return work()

        return _in_thread(inside)

    def descriptor(self) -> int:
        """Return an open descriptor of the namespace; the caller closes it.

        Raises `Retryable` if the namespace is not there.
        """
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Retryable(f"The network namespace {self.name} is gone.") from error

    def _enter(self) -> None:
        number = self.descriptor()
        try:
            _check(_libc.setns(number, _CLONE_NEWNET), "setns")
        except OSError as error:
            if error.errno != errno.EINVAL:  # a bare file: nothing is mounted there
                raise
            raise Retryable(f"The network namespace {self.name} is gone.") from error
        finally:
            os.close(number)

    def _unshare(self) -> None:
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        _mount(b"/proc/thread-self/ns/net", os.fsencode(self.path), _MS_BIND)


def named() -> list[str]:
    """Return the names of all network namespaces of the machine."""
    try:
        return sorted(os.listdir(FOLDER))
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _folder_locked() -> Iterator[None]:
    """Hold the folder's lock, as iproute2 does, with the folder mounted so that mounts spread."""
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    number = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        folder = os.fsencode(FOLDER)
        try:
            _mount(None, folder, _MS_SHARED | _MS_REC)
        except OSError as error:
            if error.errno != errno.EINVAL:  # not yet a mount of its own
                raise
            _mount(folder, folder, _MS_BIND | _MS_REC)
            _mount(None, folder, _MS_SHARED | _MS_REC)
        yield
    finally:
        os.close(number)


class _Outcome(Generic[T]):
    value: T
    error: BaseException | None = None


def _in_thread(work: Callable[[], T]) -> T:
    outcome: _Outcome[T] = _Outcome()

    def run() -> None:
        try:
            outcome.value = work()
        except BaseException as error:  # raised again below, in the thread that asked
            outcome.error = error

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if outcome.error is not None:
        raise outcome.error
    return outcome.value


def _mount(source: bytes | None, target: bytes, flags: int) -> None:
    _check(_libc.mount(source, target, b"none", ctypes.c_ulong(flags), None), "mount")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
