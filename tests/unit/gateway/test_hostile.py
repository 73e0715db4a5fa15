"""What an agent may say or leave undone without harm: absurd, late, doubled, slow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from websockets.asyncio.client import ClientConnection, unix_connect

from statera.gateway import reports as module
from statera.gateway.reports import Reports
from statera.gateway.threads import Threads
from statera.spec import wire
from statera.spec.report import (
    AmphoraReport,
    Counters,
    Fault,
    ListenerReport,
    NetworkReport,
)
from statera.store import observations, purging
from statera.store.database import Database
from statera.store.tables.placement import (
    counter,
    gateway,
    machine,
    network_observation,
    observation,
)
from statera.store.types import now
from tests.installation import eventually
from tests.unit.controller.rig import Rig
from tests.unit.gateway.test_gateway import converse, hello, place, publish_network, receive


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def start(rig: Rig, **settings: Any) -> None:
    """Start the gateway and wait until it can be dialled."""
    rig.settings = type(rig.settings)(
        **{name: getattr(rig.settings, name) for name in rig.settings.__slots__} | settings
    )
    rig.start_gateway()
    eventually("listening", lambda: Path(rig.settings.socket).exists())


def rows(rig: Rig, table: sa.Table) -> list[Any]:
    return rig.database.read(lambda c: list(c.execute(sa.select(table))))


def state(amphora_id: str, **more: Any) -> AmphoraReport:
    return AmphoraReport(**{"amphora_id": amphora_id, "epoch": 1, "revision": 1, **more})


def counted(value: int) -> tuple[ListenerReport, ...]:
    counters = Counters(epoch=1, bytes_in=value)
    return (ListenerReport(id="listener", status="OPEN", counters=counters),)


ABSURD = {
    "counters too large": state("own", generation=1, listeners=counted(2**63)),
    "counters below nothing": state("own", generation=1, listeners=counted(-1)),
    "generation too large": state("own", generation=2**64 - 1),
    "revision below nothing": state("own", generation=1, revision=-5),
    "an id of rubbish": state("own\0\n", generation=1),
    "an endless id": state("x" * 100_000, generation=1),
    "somebody else's": state("foreign", generation=9),
}


@pytest.mark.parametrize("absurd", ABSURD.values(), ids=ABSURD.keys())
def test_an_absurd_report_is_dropped_alone(rig: Rig, absurd: AmphoraReport) -> None:
    """What stands beside it in the same message is taken, and the stream goes on."""
    start(rig)
    place(rig, "own")
    place(rig, "other")

    async def talk(connection: ClientConnection) -> None:
        await hello(connection)
        fault = Fault(object_type="listener", object_id="l", text="bad\0" * 9_000, final=False)
        good = state("other", generation=1, serving=True, faults=(fault,))
        await connection.send(wire.encode(wire.Report(amphorae=(absurd, good))))
        await asyncio.to_thread(eventually, "noted", lambda: rows(rig, observation))
        late = state("own", generation=1, serving=True)
        await connection.send(wire.encode(wire.Report(amphorae=(late,))))
        await asyncio.to_thread(eventually, "noted", lambda: len(rows(rig, observation)) == 2)

    converse(rig, talk)
    noted = {row.amphora_id: row for row in rows(rig, observation)}
    assert set(noted) == {"own", "other"}
    assert noted["own"].serving
    (fault,) = noted["other"].faults
    assert fault["text"].startswith("bad bad ")
    assert len(fault["text"]) == module.LONGEST_TEXT
    assert rows(rig, counter) == []


@pytest.mark.parametrize(
    "frame",
    [b"\xc1", b"\x81\xa4kind\xa6future", b"\xff" * 10_000_000],
    ids=["rubbish", "of a later release", "ten megabytes"],
)
def test_an_unreadable_frame_is_skipped(rig: Rig, frame: bytes) -> None:
    """The stream goes on: a later agent may say more than we understand."""
    start(rig)
    place(rig, "own")

    async def talk(connection: ClientConnection) -> None:
        await hello(connection)
        await connection.send(frame)
        await connection.send(wire.encode(wire.Report(amphorae=(state("own", generation=1),))))
        await asyncio.to_thread(eventually, "noted", lambda: rows(rig, observation))

    converse(rig, talk)


def test_unknown_networks_are_not_noted(rig: Rig) -> None:
    """Nobody published them; what is known and what is absurd beside it disturb each other not."""
    start(rig)
    publish_network(rig, "net")
    told = [
        NetworkReport(network_id="invented", epoch=1, revision=1),
        NetworkReport(network_id="net", epoch=1, revision=2**63),
        NetworkReport(network_id="net", epoch=1, revision=1),
    ]

    async def talk(connection: ClientConnection) -> None:
        await hello(connection)
        await connection.send(wire.encode(wire.Report(networks=tuple(told))))
        await asyncio.to_thread(eventually, "noted", lambda: rows(rig, network_observation))

    converse(rig, talk)
    assert [(r.network_id, r.revision) for r in rows(rig, network_observation)] == [("net", 1)]


class Counting(Threads):
    """Threads that count the transactions."""

    writes = 0

    async def write(self, work: Callable[[sa.Connection], Any]) -> Any:
        self.writes += 1
        return await super().write(work)


def test_the_same_again_is_no_transaction(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written, and what is heard of no more is forgotten."""
    place(rig, "own")
    publish_network(rig, "net")
    network = NetworkReport(network_id="net", epoch=1, revision=1)
    message = wire.Report(amphorae=(state("own", generation=1),), networks=(network,))
    threads = Counting(rig.database, 1)
    taking = Reports("machine", threads, rig.wakes, lambda *_: None)

    async def talk() -> None:
        await taking.take(message)
        before = threads.writes
        await taking.take(message)
        assert threads.writes == before > 0
        monkeypatch.setattr(module, "RECHECK", 0.0)
        await taking.flush()

    asyncio.run(talk())
    threads.close()
    assert not taking._seen
    assert not taking._owners


def test_a_gateway_taken_for_dead_brings_its_machines_back(rig: Rig) -> None:
    """It was only slow: with its next beat they count as connected again."""
    start(rig, beat_interval=0.3)
    place(rig, "homeless")

    def connected() -> list[bool]:
        return [row.connected for row in rows(rig, machine)]

    async def talk(connection: ClientConnection) -> None:
        await hello(connection)

        def forgotten(c: sa.Connection) -> int:
            c.execute(sa.update(gateway).values(beat_at=now() - 100))
            return purging.dead_gateways(c)

        assert rig.database.write(forgotten) == 1
        assert connected() == [False]
        await asyncio.to_thread(eventually, "back", lambda: connected() == [True])

    converse(rig, talk)
    eventually("gone", lambda: connected() == [False])


def test_a_beat_of_another_clock_is_no_life(rig: Rig) -> None:
    """After a clock was set back a dead gateway does not seem alive until it catches up."""
    rig.database.write(lambda c: observations.beat(c, "dead"))
    rig.database.write(lambda c: c.execute(sa.update(gateway).values(beat_at=now() + 3600)))
    assert rig.database.write(purging.dead_gateways) == 1


class Slow(Database):
    """Once `armed`, the next transaction waits a moment for another one to overtake it."""

    armed = False

    def write(self, work: Callable[[sa.Connection], Any]) -> Any:
        if self.armed:
            self.armed = False
            self.overtaken = threading.Event()
            self.overtaken.wait(1.0)
            return super().write(work)
        try:
            return super().write(work)
        finally:
            if hasattr(self, "overtaken"):
                self.overtaken.set()


def test_an_end_noted_late_does_not_undo_a_new_beginning(rig: Rig) -> None:
    """An agent that dials again at once is connected, however slow the database is."""
    rig.database.close()
    rig.database = slow = Slow(str(rig.database.engine.url), durable=False)
    start(rig, beat_interval=10.0)
    converse(rig, hello)
    eventually("gone", lambda: [row.connected for row in rows(rig, machine)] == [False])

    async def twice() -> None:
        async with unix_connect(rig.settings.socket, "ws://gateway/", compression=None) as first:
            await hello(first)
            slow.armed = True
        async with unix_connect(rig.settings.socket, "ws://gateway/", compression=None) as second:
            await hello(second)
            await asyncio.to_thread(eventually, "waited", slow.overtaken.is_set)
            place(rig, "marker")
            rig.wakes.send("documents")
            assert isinstance(await receive(second), wire.Document)
            assert [row.connected for row in rows(rig, machine)] == [True]

    asyncio.run(asyncio.wait_for(twice(), 20))


def test_an_older_stream_says_nothing_any_more(rig: Rig) -> None:
    """What it still had to say when a newer one was opened is out of date."""
    rig.database.close()
    rig.database = slow = Slow(str(rig.database.engine.url), durable=False)
    start(rig, beat_interval=10.0)
    for name in ("first", "queued", "second"):
        place(rig, name)

    async def say(connection: ClientConnection, amphora_id: str) -> None:
        report = state(amphora_id, generation=1)
        await connection.send(wire.encode(wire.Report(amphorae=(report,))))

    def noted() -> set[str]:
        return {row.amphora_id for row in rows(rig, observation)}

    async def talk(older: ClientConnection) -> None:
        await hello(older)
        slow.armed = True
        await say(older, "first")
        await say(older, "queued")
        await asyncio.to_thread(eventually, "held up", lambda: not slow.armed)
        async with unix_connect(rig.settings.socket, "ws://gateway/", compression=None) as newer:
            await hello(newer)
            await asyncio.to_thread(eventually, "first", lambda: "first" in noted())
            await say(newer, "second")
            await asyncio.to_thread(eventually, "second", lambda: "second" in noted())

    converse(rig, talk)
    assert noted() == {"first", "second"}


def test_an_agent_that_does_not_read_holds_up_nobody(rig: Rig) -> None:
    """Its documents wait, each in its newest form; others get theirs."""
    start(rig)
    for number in range(30):
        place(rig, f"fat-{number}", "deaf", cookie_key="x" * 200_000)

    async def talk(deaf: ClientConnection) -> None:
        await hello(deaf, machine_id="deaf")
        deaf.transport.pause_reading()
        async with unix_connect(rig.settings.socket, "ws://gateway/", compression=None) as one:
            await hello(one)
            place(rig, "own")
            rig.wakes.send("documents")
            message = await receive(one)
            assert isinstance(message, wire.Document)
            assert message.spec.amphora_id == "own"
        deaf.transport.resume_reading()
        got = [await receive(deaf) for _ in range(30)]
        assert len({each.spec.amphora_id for each in got if isinstance(each, wire.Document)}) == 30

    converse(rig, talk)
