"""The agent's own disk: the last documents, so that it serves without any controller.

A document is on disk before it is acted on.  A retired amphora or network leaves a tombstone with
its (epoch, revision), so that no older document can bring it back.  Each record is a file of its
own, replaced atomically and checked by a digest: one damaged file costs one record, and the gateway
sends that document again.  Blocking; called from worker threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from statera.spec.document import AmphoraSpec, NetworkSpec

LOG = logging.getLogger(__name__)

_DIGEST = 16
_TOMBSTONE_LIFE = 30 * 86_400
"""Seconds.  Longer than anybody restores an old database and lets it speak."""


class AmphoraRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is wished of an amphora; `spec` is None once it is retired."""

    id: str
    epoch: int
    revision: int
    spec: AmphoraSpec | None = None
    stamp: str = ""


class NetworkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is wished of a network; `spec` is None once it is retired."""

    id: str
    epoch: int
    revision: int
    spec: NetworkSpec | None = None
    stamp: str = ""


for _kind in (AmphoraRecord, NetworkRecord):  # as in `spec.document`: not first in a thread
    msgspec.msgpack.Decoder(_kind)


Record = AmphoraRecord | NetworkRecord


def newer(record: Record, other: Record) -> bool:
    """Return whether `record` is to be obeyed by one that holds `other`."""
    return (record.epoch, record.revision) > (other.epoch, other.revision)


R = TypeVar("R", AmphoraRecord, NetworkRecord, AmphoraSpec)
K = TypeVar("K", AmphoraRecord, NetworkRecord)


class Disk:
    """The records below one directory, and the directory each amphora's engine may use."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._amphorae = root / "documents" / "amphorae"
        self._networks = root / "documents" / "networks"
        self._in_force = root / "documents" / "in-force"
        self.engines = engines_below(root)
        for folder in (self._amphorae, self._networks, self._in_force, self.engines):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def machine_id(self) -> str:
        """Return the id of this machine: made once, kept for good."""
        path = self._root / "machine-id"
        try:
            return str(uuid.UUID(path.read_text().strip()))
        except FileNotFoundError:
            pass
        except (
            ValueError
        ) as error:  # a machine that serves under a new name beats one that does not
            LOG.error("disk.damaged path=%s error=%s", path, error)
            path.rename(path.with_suffix(".damaged"))
        fresh = str(uuid.uuid4())
        _replace(path, f"{fresh}\n".encode())
        return fresh

    def engine_directory(self, amphora_id: str) -> Path:
        """Return the directory of an amphora's engine; the engine makes it."""
        return self.engines / _plain(amphora_id)

    def keep(self, record: Record) -> None:
        """Write a record; when this returns it outlives a loss of power."""
        _write(self._path(record), record, durable=True)

    def note_in_force(self, spec: AmphoraSpec) -> None:
        """Note what the processes in an amphora's namespace follow; it means nothing without."""
        _write(self._in_force / _plain(spec.amphora_id), spec, durable=False)

    def in_force(self, amphora_id: str) -> AmphoraSpec | None:
        """Return what was noted last of an amphora's processes."""
        return _read(self._in_force / _plain(amphora_id), AmphoraSpec)

    def forget_in_force(self, amphora_id: str) -> None:
        """Forget the note: there is no namespace, or soon none."""
        (self._in_force / _plain(amphora_id)).unlink(missing_ok=True)

    def forget_engine(self, amphora_id: str) -> None:
        """Remove everything of an amphora but its record."""
        self.forget_in_force(amphora_id)
        shutil.rmtree(self.engine_directory(amphora_id), ignore_errors=True)

    def amphorae(self) -> list[AmphoraRecord]:
        """Return every readable record of an amphora, tombstones included."""
        return list(_records(self._amphorae, AmphoraRecord))

    def networks(self) -> list[NetworkRecord]:
        """Return every readable record of a network, tombstones included."""
        return list(_records(self._networks, NetworkRecord))

    def _path(self, record: Record) -> Path:
        folder = self._amphorae if isinstance(record, AmphoraRecord) else self._networks
        return folder / _plain(record.id)


def engines_below(root: Path) -> Path:
    """Return the folder of all engines' directories, absolute: processes are found by it."""
    return root.absolute() / "amphorae"


def _plain(object_id: str) -> str:
    """Return an id as a file name; only ids of ours come here, so anything else is a bug."""
    return str(uuid.UUID(object_id))


def _records(folder: Path, kind: type[K]) -> Iterator[K]:
    for path in sorted(folder.iterdir()):
        if path.suffix:  # a draft that was never finished, or a damaged file put aside
            continue
        record = _read(path, kind)
        if record is None:
            continue
        if record.spec is None and time.time() - path.stat().st_mtime > _TOMBSTONE_LIFE:
            path.unlink()
        else:
            yield record


def _read(path: Path, kind: type[R]) -> R | None:
    try:
        data = path.read_bytes()
        digest, body = data[:_DIGEST], data[_DIGEST:]
        if digest != _digest(body):
            raise ValueError("the digest does not match")
        return msgspec.msgpack.decode(body, type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:  # it may well be whole, and readable for the next agent
        LOG.error("disk.unreadable path=%s error=%s", path, error)
    except (ValueError, msgspec.MsgspecError) as error:
        LOG.error("disk.damaged path=%s error=%s", path, error)
        with contextlib.suppress(OSError):  # a disk that takes nothing still gives the others
            path.rename(path.with_suffix(".damaged"))
    return None


def _write(path: Path, record: Record | AmphoraSpec, *, durable: bool) -> None:
    body = msgspec.msgpack.encode(record)
    _replace(path, _digest(body) + body, durable=durable)


def _replace(path: Path, data: bytes, *, durable: bool = True) -> None:
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    draft.rename(path)
    if durable:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST).digest()
