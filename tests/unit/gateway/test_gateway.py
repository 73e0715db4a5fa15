"""What an agent gets from the gateway, and who may dial it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from statera.gateway import daemon
from statera.service.wake import DOCUMENTS
from statera.spec import wire
from statera.spec.abilities import ALL, HAPROXY
from statera.spec.document import AmphoraSpec, Listener, NetworkSpec
from statera.spec.report import NetworkReport
from statera.store import amphorae, documents
from statera.store.tables.placement import document, gateway, network_observation, observation
from statera.store.types import now
from tests.installation import eventually
from tests.unit.controller.rig import Rig
from tests.unit.store import wishes

Talk = Callable[[ClientConnection], Awaitable[Any]]
SHORT = 10.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    made.start_gateway()
    eventually("listening", lambda: Path(made.settings.socket).exists())
    yield made
    made.close()


def converse(rig: Rig, talk: Talk) -> Any:
    """Dial the gateway and talk."""

    async def dial() -> Any:
        async with unix_connect(rig.settings.socket, "ws://gateway/", compression=None) as one:
            return await asyncio.wait_for(talk(one), SHORT)

    return asyncio.run(dial())


async def hello(connection: ClientConnection, *held: wire.Held, **more: Any) -> None:
    """Say hello as `machine` and wait for the welcome."""
    values = {"machine_id": "machine", "host": "here", "spec_version": 1, "abilities": tuple(ALL)}
    await connection.send(wire.encode(wire.Hello(**{**values, "held": held, **more})))
    assert isinstance(await receive(connection), wire.Welcome)


async def receive(connection: ClientConnection) -> wire.FromGateway:
    frame = await connection.recv()
    assert isinstance(frame, bytes)
    return wire.decode_from_gateway(frame)


def place(rig: Rig, amphora_id: str, machine_id: str = "machine", **more: Any) -> None:
    """Publish a document of an amphora on a machine."""
    owner = wishes.create(rig.database)
    spec = AmphoraSpec(
        amphora_id=amphora_id,
        load_balancer_id=owner,
        project_id="p",
        epoch=0,
        revision=0,
        generation=1,
        **more,
    )

    def work(connection: sa.Connection) -> None:
        amphorae.add(connection, amphora_id, owner, "STANDALONE", 1)
        amphorae.place(connection, amphora_id, machine_id, None)
        documents.publish(connection, spec)

    rig.database.write(work)


def publish_network(rig: Rig, network_id: str) -> None:
    spec = NetworkSpec(network_id=network_id, epoch=1, revision=1)
    row = {"id": network_id, "kind": "network", "epoch": 1, "revision": 1, "generation": 0}
    row |= {"stamp": "", "history": []}
    body = msgspec.msgpack.encode(spec)
    rig.database.write(
        lambda c: c.execute(
            sa.insert(document).values(**row, body=body, retired=False, published_at=now())
        )
    )


def test_the_socket_is_its_users_alone(rig: Rig) -> None:
    """Nobody else can open it."""
    mode = os.stat(rig.settings.socket).st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_the_gateway_beats(rig: Rig) -> None:
    """Its row tells its death from the silence of its agents, and goes with it."""

    def beats() -> list[Any]:
        return rig.database.read(lambda c: list(c.execute(sa.select(gateway))))

    eventually("beat", lambda: len(beats()) == 1)
    rig.stop("gateway")
    assert beats() == []


@pytest.mark.parametrize("frame", [b"\xc1", b"", wire.encode(wire.Report())])
def test_whoever_says_no_hello_is_cut_off(rig: Rig, frame: bytes) -> None:
    """Rubbish, nothing, and a report before the hello."""

    async def talk(connection: ClientConnection) -> int | None:
        await connection.send(frame)
        with pytest.raises(ConnectionClosed):
            await connection.recv()
        return connection.close_code

    assert converse(rig, talk) == daemon.POLICY_VIOLATION


def test_an_agent_gets_what_is_newer_than_what_it_holds(rig: Rig) -> None:
    """Documents of its machine and of networks; nothing about what the database does not know."""
    place(rig, "new")
    place(rig, "held")
    place(rig, "elsewhere", "other")
    place(rig, "gone")
    rig.database.write(lambda c: documents.retire(c, "gone"))
    publish_network(rig, "net")

    async def talk(connection: ClientConnection) -> set[str]:
        held = [wire.Held(id=name, epoch=1, revision=1) for name in ("held", "gone", "stranger")]
        await hello(connection, *held)
        got = set[str]()
        for _ in range(3):
            match await receive(connection):
                case wire.Document(spec=spec):
                    got.add(spec.amphora_id)
                case wire.Retire(amphora_id=amphora_id, revision=revision):
                    got.add(f"retire {amphora_id} {revision}")
                case wire.Network(spec=network):
                    got.add(network.network_id)
        return got

    assert converse(rig, talk) == {"new", "retire gone 2", "net"}


def test_new_documents_are_sent_when_woken(rig: Rig) -> None:
    """Published while the stream stands; each revision once, the newest last."""

    async def talk(connection: ClientConnection) -> list[int]:
        await hello(connection)
        revisions = []
        place(rig, "late")
        for _ in range(2):
            rig.wakes.send(DOCUMENTS)
            message = await receive(connection)
            assert isinstance(message, wire.Document)
            revisions.append(message.spec.revision)
            rig.database.write(lambda c, spec=message.spec: documents.publish(c, spec))  # type: ignore[misc]
        return revisions

    assert converse(rig, talk) == [1, 2]


def test_what_an_agent_cannot_do_is_not_sent(rig: Rig) -> None:
    """A document that restricts traffic in a way the agent does not know stays here."""
    door = Listener(id="l", protocol="HTTP", port=80, allowed_cidrs=("10.0.0.0/8",))
    place(rig, "restricted", listeners=(door,))
    place(rig, "plain")

    async def talk(connection: ClientConnection) -> list[str]:
        await hello(connection, abilities=(HAPROXY,))
        first = await receive(connection)
        place(rig, "marker")
        second = await receive(connection)
        assert isinstance(first, wire.Document)
        assert isinstance(second, wire.Document)
        return [first.spec.amphora_id, second.spec.amphora_id]

    assert converse(rig, talk) == ["plain", "marker"]


def test_a_retirement_is_said_until_it_is_reported(rig: Rig) -> None:
    """Also to an agent that holds nothing: only its word ends the wait."""
    place(rig, "gone")
    rig.database.write(lambda c: documents.retire(c, "gone"))

    async def first(connection: ClientConnection) -> None:
        await hello(connection)
        message = await receive(connection)
        assert isinstance(message, wire.Retire)

    converse(rig, first)
    row = {"amphora_id": "gone", "epoch": 1, "revision": 2, "generation": 0, "faults": []}
    rig.database.write(
        lambda c: c.execute(
            sa.insert(observation).values(
                **row, serving=False, retired=True, estranged=False, changed_at=now()
            )
        )
    )

    async def second(connection: ClientConnection) -> str:
        await hello(connection)
        place(rig, "marker")
        message = await receive(connection)
        assert isinstance(message, wire.Document)
        return message.spec.amphora_id

    assert converse(rig, second) == "marker"


def test_networks_are_observed(rig: Rig) -> None:
    """How far each is on each machine, and why not further."""

    def rows() -> list[Any]:
        return rig.database.read(lambda c: list(c.execute(sa.select(network_observation))))

    def state(fault: str | None, *, retired: bool = False) -> wire.Report:
        report = NetworkReport(network_id="net", epoch=1, revision=1, fault=fault, retired=retired)
        return wire.Report(networks=(report,))

    publish_network(rig, "net")

    async def talk(connection: ClientConnection) -> None:
        await hello(connection, wire.Held(id="net", epoch=1, revision=1, network=True))
        for fault in ("overlaps", None):
            await connection.send(wire.encode(state(fault)))
            await asyncio.to_thread(
                eventually, "seen", lambda fault=fault: [r.fault for r in rows()] == [fault]
            )
        await connection.send(wire.encode(state(None, retired=True)))
        await asyncio.to_thread(eventually, "gone", lambda: rows() == [])

    converse(rig, talk)
