"""The agent's disk: what was kept is there again, and damage stays where it is."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest

from statera.agent.disk import AmphoraRecord, Disk, NetworkRecord
from statera.spec.document import AmphoraSpec, NetworkSpec, SubnetSpec

AMPHORA = str(uuid.UUID(int=1))
OTHER = str(uuid.UUID(int=2))
DAY = 86_400


def _spec(amphora_id: str, revision: int) -> AmphoraSpec:
    return AmphoraSpec(
        amphora_id=amphora_id,
        load_balancer_id=str(uuid.UUID(int=9)),
        project_id="p",
        epoch=1,
        revision=revision,
        generation=revision,
        vips=("10.0.0.1",),
    )


def _record(amphora_id: str, revision: int) -> AmphoraRecord:
    return AmphoraRecord(
        id=amphora_id, epoch=1, revision=revision, spec=_spec(amphora_id, revision)
    )


def test_records_come_back(tmp_path: Path) -> None:
    """The newest record of each amphora and network is read by the next agent."""
    subnet = SubnetSpec(id="s", cidr="10.0.0.0/24", gateway="10.0.0.1")
    network = NetworkRecord(
        id=OTHER,
        epoch=1,
        revision=4,
        spec=NetworkSpec(network_id=OTHER, epoch=1, revision=4, subnets=(subnet,)),
    )
    disk = Disk(tmp_path)
    for record in (_record(AMPHORA, 1), _record(AMPHORA, 2), network):
        disk.keep(record)
    assert Disk(tmp_path).amphorae() == [_record(AMPHORA, 2)]
    assert Disk(tmp_path).networks() == [network]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_one_damaged_record_costs_one_record(tmp_path: Path, damage: bytes | None) -> None:
    """A damaged file is put aside and said in the log; the others are read."""
    disk = Disk(tmp_path)
    disk.keep(_record(AMPHORA, 1))
    disk.keep(_record(OTHER, 1))
    path = tmp_path / "documents" / "amphorae" / AMPHORA
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    assert [record.id for record in Disk(tmp_path).amphorae()] == [OTHER]
    assert not path.exists()
    assert path.with_suffix(".damaged").exists()


def test_an_unfinished_write_is_not_read(tmp_path: Path) -> None:
    """A draft left by a crash is neither a record nor damage."""
    disk = Disk(tmp_path)
    disk.keep(_record(AMPHORA, 1))
    draft = tmp_path / "documents" / "amphorae" / f"{AMPHORA}.draft"
    draft.write_bytes(b"half")
    assert Disk(tmp_path).amphorae() == [_record(AMPHORA, 1)]


def test_tombstones_are_kept_for_a_month(tmp_path: Path) -> None:
    """A retirement outlives restarts, and is forgotten when no old document can come any more."""
    disk = Disk(tmp_path)
    grave = AmphoraRecord(id=AMPHORA, epoch=1, revision=7)
    disk.keep(grave)
    assert Disk(tmp_path).amphorae() == [grave]
    path = tmp_path / "documents" / "amphorae" / AMPHORA
    long_ago = time.time() - 31 * DAY
    os.utime(path, (long_ago, long_ago))
    assert Disk(tmp_path).amphorae() == []


def test_an_old_document_does_not_age(tmp_path: Path) -> None:
    """Only tombstones are forgotten: a document lives until it is retired."""
    disk = Disk(tmp_path)
    disk.keep(_record(AMPHORA, 1))
    os.utime(tmp_path / "documents" / "amphorae" / AMPHORA, (1, 1))
    assert Disk(tmp_path).amphorae() == [_record(AMPHORA, 1)]


def test_what_is_in_force_is_noted_beside_what_is_wished(tmp_path: Path) -> None:
    """The note about running processes is separate from the wish, and goes with the engine."""
    disk = Disk(tmp_path)
    disk.keep(_record(AMPHORA, 2))
    note = _spec(AMPHORA, 1)
    disk.note_in_force(note)
    disk.engine_directory(AMPHORA).mkdir()
    assert Disk(tmp_path).in_force(AMPHORA) == note
    disk.forget_engine(AMPHORA)
    assert Disk(tmp_path).in_force(AMPHORA) is None
    assert not disk.engine_directory(AMPHORA).exists()
    assert Disk(tmp_path).amphorae() == [_record(AMPHORA, 2)]


def test_the_machine_keeps_its_id(tmp_path: Path) -> None:
    """The id is made once."""
    first = Disk(tmp_path).machine_id()
    assert uuid.UUID(first)
    assert Disk(tmp_path).machine_id() == first


def test_an_id_is_no_path(tmp_path: Path) -> None:
    """Nothing is written outside for an id that is none."""
    with pytest.raises(ValueError, match="UUID"):
        Disk(tmp_path).keep(AmphoraRecord(id="../../etc/passwd", epoch=1, revision=1))


def test_a_damaged_machine_id_is_put_aside(tmp_path: Path) -> None:
    """The machine goes on under a new id: what it carries must be served after a restart."""
    path = tmp_path / "machine-id"
    path.write_text("\0\0\0")
    fresh = Disk(tmp_path).machine_id()
    assert uuid.UUID(fresh)
    assert Disk(tmp_path).machine_id() == fresh
    assert path.with_suffix(".damaged").exists()


def test_what_cannot_be_read_stays_where_it_is(tmp_path: Path) -> None:
    """An error of the machine is no damage: the record may be whole when the next agent reads."""
    disk = Disk(tmp_path)
    disk.keep(_record(AMPHORA, 1))
    unreadable = tmp_path / "documents" / "amphorae" / OTHER
    unreadable.mkdir()  # as good as any error of reading, and root cannot overcome it
    assert Disk(tmp_path).amphorae() == [_record(AMPHORA, 1)]
    assert unreadable.exists()
