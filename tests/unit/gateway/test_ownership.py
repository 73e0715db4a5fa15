"""Who sees what: another machine's things are refused by every id, logged and counted."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from statera.gateway import daemon
from statera.spec import wire
from statera.spec.document import AmphoraSpec
from statera.spec.report import AmphoraReport, Counters, ListenerReport, NetworkReport
from statera.store import amphorae, documents
from statera.store.tables.placement import (
    counter,
    document,
    machine,
    network_observation,
    observation,
    refusal,
)
from tests.installation import eventually
from tests.unit.controller.rig import Rig
from tests.unit.gateway.test_gateway import SHORT, converse, hello, place, publish_network, receive

replace = msgspec.structs.replace
OTHER_USER = 65534
"""Nobody: a user that runs neither the gateway nor an agent."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.settings = type(made.settings)(
        socket=made.settings.socket, poll_interval=0.2, flush_interval=0.1, beat_interval=0.1
    )
    made.start_gateway()
    eventually("listening", lambda: Path(made.settings.socket).exists())
    yield made
    made.close()


def counts(rig: Rig) -> dict[tuple[str, str], tuple[int, str]]:
    """Return (count, last id) of everything refused, by subject and kind."""
    found = rig.database.read(lambda c: list(c.execute(sa.select(refusal))))
    return {(row.subject, row.kind): (row._mapping["count"], row.last) for row in found}


def rows(rig: Rig, table: sa.Table) -> list[Any]:
    return rig.database.read(lambda c: list(c.execute(sa.select(table))))


def pin_network(rig: Rig, network_id: str, machine_id: str) -> None:
    """Publish a network for one machine alone."""
    publish_network(rig, network_id)
    pinned = sa.update(document).where(document.c.id == network_id).values(machine_id=machine_id)
    rig.database.write(lambda c: c.execute(pinned))


def foreign_report(what: str) -> wire.Report:
    """Return what an agent says about an amphora or a network of another machine."""
    counted = ListenerReport(
        id="listener", status="OPEN", counters=Counters(epoch=1, total_connections=7)
    )
    amphora = AmphoraReport(
        amphora_id="theirs", epoch=1, revision=1, generation=9, serving=True, listeners=(counted,)
    )
    buried = AmphoraReport(amphora_id="theirs", epoch=9, revision=9, generation=0, retired=True)
    network = NetworkReport(network_id="their-net", epoch=1, revision=1, fault="none of yours")
    gone = NetworkReport(network_id="their-net", epoch=9, revision=9, retired=True)
    return {
        "amphora": wire.Report(amphorae=(amphora,)),
        "amphora retired": wire.Report(amphorae=(buried,)),
        "network": wire.Report(networks=(network,)),
        "network retired": wire.Report(networks=(gone,)),
    }[what]


@pytest.mark.parametrize("what", ["amphora", "amphora retired", "network", "network retired"])
def test_reports_about_others_are_refused(
    rig: Rig, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is noted, what stands beside it counts, and who said it is logged and counted."""
    place(rig, "own")
    place(rig, "theirs", "other")
    rig.database.write(lambda c: documents.retire(c, "theirs"))
    pin_network(rig, "their-net", "other")
    kind, told = what.split(maxsplit=1)[0], foreign_report(what)
    last = "theirs" if kind == "amphora" else "their-net"

    async def talk(connection: ClientConnection) -> None:
        await hello(connection)
        await connection.send(wire.encode(told))
        own = AmphoraReport(amphora_id="own", epoch=1, revision=1, generation=1)
        await connection.send(wire.encode(wire.Report(amphorae=(own,))))
        await asyncio.to_thread(eventually, "own", lambda: rows(rig, observation))

    with caplog.at_level(logging.WARNING):
        converse(rig, talk)
        eventually("counted", lambda: counts(rig) == {("machine", kind): (1, last)})
    assert f"agent.refused subject=machine kind={kind} count=1 ids={last}" in caplog.text
    assert [row.amphora_id for row in rows(rig, observation)] == ["own"]
    assert rows(rig, network_observation) == []
    assert rows(rig, counter) == []


def test_who_names_others_in_its_hello_gets_nothing(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """To hold an amphora of another machine, alive or retired, is no way to its documents."""
    place(rig, "own")
    for name in ("theirs", "their-grave"):
        place(rig, name, "other")
    rig.database.write(lambda c: documents.retire(c, "their-grave"))
    pin_network(rig, "their-net", "other")
    names = ("theirs", "their-grave", "their-net")
    held = [wire.Held(id=name, epoch=0, revision=0, network=name == names[2]) for name in names]

    async def talk(connection: ClientConnection) -> list[wire.FromGateway]:
        await hello(connection, *held)
        got = [await receive(connection)]
        place(rig, "marker")
        got.append(await receive(connection))
        return got

    with caplog.at_level(logging.WARNING):
        got = converse(rig, talk)
        expected = {("machine", "amphora"): (3, "theirs")}
        eventually("counted", lambda: counts(rig) == expected)
    assert [each.spec.amphora_id for each in got] == ["own", "marker"]
    assert "agent.refused subject=machine kind=amphora count=3" in caplog.text


def test_a_document_that_moves_between_look_and_fetch_is_not_sent(rig: Rig) -> None:
    """Where an amphora is placed counts at the moment its document is read."""
    place(rig, "theirs", "other")
    found = rig.database.read(lambda c: documents.bodies(c, ["theirs"], "machine"))
    assert found == []
    assert rig.database.read(lambda c: documents.bodies(c, ["theirs"], "other")) != []


def test_nobody_else_is_a_machine(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """An id belongs to the user that said its first hello; its stream is not even disturbed."""
    converse(rig, hello)
    (row,) = rows(rig, machine)
    assert row.peer == f"uid {os.geteuid()}"
    taken = sa.update(machine).values(peer="uid 4711")
    rig.database.write(lambda c: c.execute(taken))
    place(rig, "own")

    async def talk(connection: ClientConnection) -> int | None:
        values = {"machine_id": "machine", "host": "here", "spec_version": 1}
        await connection.send(wire.encode(wire.Hello(**values)))  # type: ignore[arg-type]
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        return connection.close_code

    us = f"uid {os.geteuid()}"
    with caplog.at_level(logging.WARNING):
        assert converse(rig, talk) == daemon.POLICY_VIOLATION
        eventually("counted", lambda: counts(rig) == {(us, "machine"): (1, "machine")})
    assert f"agent.refused subject={us} kind=machine count=1 ids=machine" in caplog.text
    (row,) = rows(rig, machine)
    assert (row.peer, row.connected) == ("uid 4711", False)


def test_a_false_claim_leaves_the_true_stream_alone(rig: Rig) -> None:
    """Who is not the machine replaces nobody: documents still come to the one that is."""

    async def talk(true: ClientConnection) -> str:
        await hello(true)
        taken = sa.update(machine).values(peer="uid 4711")
        rig.database.write(lambda c: c.execute(taken))
        async with unix_connect(rig.settings.socket, "ws://gateway/", compression=None) as false:
            values = {"machine_id": "machine", "host": "here", "spec_version": 1}
            await false.send(wire.encode(wire.Hello(**values)))  # type: ignore[arg-type]
            with pytest.raises(ConnectionClosed):
                await false.recv()
        place(rig, "own")
        message = await receive(true)
        assert isinstance(message, wire.Document)
        return message.spec.amphora_id

    assert converse(rig, talk) == "own"


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def dial_as(uid: int, path: Path) -> bytes:
    """Return everything that another user gets who dials the gateway."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setuid(uid)
            with socket.socket(socket.AF_UNIX) as dialled:
                dialled.settimeout(SHORT)
                dialled.connect(str(path))
                dialled.sendall(UPGRADE)
                while got := dialled.recv(4096):
                    os.write(writing, got)
                    if b"user" in got:
                        break
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_other_users_are_turned_away(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Even one who got hold of the socket: the kernel says who dials, and it is counted."""
    path = Path(rig.settings.socket)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        door = Path(folder) / "door"
        os.link(path, door)
        door.chmod(0o666)
        with caplog.at_level(logging.WARNING):
            said = dial_as(OTHER_USER, door)
            subject = f"uid {OTHER_USER}"
            eventually("counted", lambda: counts(rig) == {(subject, "machine"): (1, "-")})
    assert b"not the agent's user" in said
    assert f"agent.refused subject={subject} kind=machine" in caplog.text
    assert rows(rig, machine) == []


def test_the_newer_of_two_streams_counts(rig: Rig) -> None:
    """It gets the documents; the older one is ended, and its word is worth nothing any more."""
    place(rig, "own")

    async def talk(older: ClientConnection) -> None:
        await hello(older)
        assert isinstance(await receive(older), wire.Document)
        async with unix_connect(rig.settings.socket, "ws://gateway/", compression=None) as newer:
            await hello(newer, wire.Held(id="own", epoch=1, revision=1))
            with pytest.raises(ConnectionClosed):
                await older.recv()
            assert older.close_code == daemon.POLICY_VIOLATION
            place(rig, "late")
            message = await receive(newer)
            assert isinstance(message, wire.Document)
            assert message.spec.amphora_id == "late"
            (row,) = rows(rig, machine)
            assert row.connected

    converse(rig, talk)
    assert rows(rig, observation) == []


def test_what_nobody_here_knows_is_said(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Unknown or newer documents are counted on the machine; tombstones and purged ones are not."""
    for name in ("own", "newer", "unpublished"):
        place(rig, name)
    rig.database.write(
        lambda c: c.execute(sa.delete(document).where(document.c.id == "unpublished"))
    )
    rig.database.write(lambda c: amphorae.doom(c, "own"))
    held = (
        wire.Held(id="own", epoch=1, revision=1),
        wire.Held(id="newer", epoch=1, revision=2),
        wire.Held(id="unpublished", epoch=1, revision=1),
        wire.Held(id="stranger", epoch=1, revision=1),
        wire.Held(id="grave", epoch=1, revision=2, retired=True),
        wire.Held(id="net", epoch=1, revision=1, network=True, ranges=("10.9.0.0/24",)),
    )

    async def talk(connection: ClientConnection) -> None:
        await hello(connection, *held, occupied=("10.8.0.0/24",))
        (row,) = rows(rig, machine)
        assert (row.unknown, row.ahead) == (2, 2)
        assert row.occupied == ["10.8.0.0/24", "10.9.0.0/24"]
        told = (
            AmphoraReport(amphora_id="stranger", epoch=1, revision=1, generation=1),
            AmphoraReport(amphora_id="grave", epoch=1, revision=2, generation=0, retired=True),
        )
        await connection.send(wire.encode(wire.Report(amphorae=told)))
        expected = {("machine", "unknown"): (1, "stranger")}
        await asyncio.to_thread(eventually, "counted", lambda: counts(rig) == expected)

    with caplog.at_level(logging.WARNING):
        converse(rig, talk)
    assert "machine.estranged machine=machine unknown=stranger,net ahead=newer" in caplog.text


def fork(rig: Rig) -> AmphoraSpec:
    """Return what an agent holds that this database, once restored, published otherwise."""
    place(rig, "own")
    (full,) = rig.database.read(lambda c: documents.bodies(c, ["own"], "machine"))
    assert full.body is not None
    spec = msgspec.msgpack.decode(full.body, type=AmphoraSpec)
    return rig.database.write(lambda c: documents.publish(c, replace(spec, cookie_key="ours")))


@pytest.mark.parametrize("newer", [0, 1, 5])
def test_another_document_of_the_same_number_is_not_overruled(rig: Rig, newer: int) -> None:
    """Neither by that of its number nor by later ones; a repair, which is a new epoch, does."""
    spec = fork(rig)
    for number in range(newer):
        later = replace(spec, cookie_key=str(number))
        rig.database.write(lambda c, later=later: documents.publish(c, later))  # type: ignore[misc]
    rig.database.write(lambda c: documents.retire(c, "own"))
    held = wire.Held(id="own", epoch=1, revision=2, stamp="0123456789abcdef")

    async def talk(connection: ClientConnection) -> list[str]:
        await hello(connection, held)
        (row,) = rows(rig, observation)
        assert row.estranged
        place(rig, "marker")
        first = await receive(connection)
        assert isinstance(first, wire.Document)
        repaired = sa.update(document).where(document.c.id == "own").values(epoch=2)
        rig.database.write(lambda c: c.execute(repaired))
        second = await receive(connection)
        assert isinstance(second, wire.Retire)
        return [first.spec.amphora_id, second.amphora_id]

    assert converse(rig, talk) == ["marker", "own"]


def test_what_this_database_published_is_no_stranger(rig: Rig) -> None:
    """An agent that is behind, or keeps no stamps, gets what is newer; the mark is taken back."""
    spec = fork(rig)
    (first,) = rows(rig, document)
    rig.database.write(lambda c: documents.publish(c, replace(spec, cookie_key="later")))

    async def talk(connection: ClientConnection, held: wire.Held) -> int:
        await hello(connection, held)
        (row,) = rows(rig, machine)
        assert row.ahead == 0
        assert not any(each.estranged for each in rows(rig, observation))
        message = await receive(connection)
        assert isinstance(message, wire.Document)
        assert message.stamp == rows(rig, document)[0].stamp != first.stamp
        return message.spec.revision

    other = wire.Held(id="own", epoch=1, revision=2, stamp="0123456789abcdef")
    converse(rig, lambda connection: hello(connection, other))
    assert [each.estranged for each in rows(rig, observation)] == [True]
    for stamp in (first.stamp, ""):
        held = wire.Held(id="own", epoch=1, revision=2, stamp=stamp)
        assert converse(rig, lambda connection, held=held: talk(connection, held)) == 3  # type: ignore[misc]
