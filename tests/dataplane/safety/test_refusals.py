"""HAProxy refuses one object: the fault is on it alone, and no more passes than was wished."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.agent.haproxy.engine import Engine
from statera.lb.errors import Retryable
from tests.dataplane.engine.conftest import Bench, Namespace
from tests.dataplane.safety.refusals import CASES, GOOD, INSIDE, NEAR, OUTSIDE, Case
from tests.installation import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")

ASKED = 6
"""Requests of each client to each port: every member of a pool gets some of them."""


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    """One namespace for the whole table: VIP, members m1 to m4, and two clients."""
    made = Namespace()
    try:
        made.ip("link", "set", "lo", "up")
        made.address("10.0.0.5/32", f"{INSIDE}/32", f"{OUTSIDE}/32")
        for number in (1, 2, 3, 4):
            made.address(f"10.1.0.{number}/32")
            made.backend(f"10.1.0.{number}", 80, f"m{number}")
        yield made
    finally:
        made.remove()


@pytest.fixture
def bench(space: Namespace) -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="t-eng-"))
    try:
        yield Bench(space, folder / "amphora")
    finally:
        shutil.rmtree(folder)


async def seen(bench: Bench, port: int, source: str) -> str:
    """Return who answers a client: members, a status, nobody, or that the port is closed."""
    answers = set[str]()
    for _ in range(ASKED):
        try:
            answers.add(await answer(bench, port, source))
        except ConnectionRefusedError:
            return "closed"
        except (ConnectionError, asyncio.IncompleteReadError):
            answers.add("nobody")
    return " ".join(sorted(answers))


async def answer(bench: Bench, port: int, source: str) -> str:
    """Return the body of a 200, else the status, of one request."""
    connection = await bench.connect(port=port, source=source)
    try:
        reply = await connection.ask(Connection="close")
        return reply.body if reply.status == 200 else str(reply.status)
    finally:
        connection.close()


async def in_force(bench: Bench) -> dict[int, str]:
    """Return who is served by whom on each port, in the words of the table."""
    found = {}
    for port in (80, 81, 82):
        inside, outside = await seen(bench, port, INSIDE), await seen(bench, port, OUTSIDE)
        found[port] = inside if inside == outside else f"{inside} for {NEAR}"
        assert outside in (inside, "nobody")
    return found


async def prepared(bench: Bench, case: Case, engine: Engine) -> None:
    """Bring into force what is in force before the refusal."""
    if not case.first:
        good = case.before(GOOD) if case.before else GOOD
        assert await engine.apply(good) == ()
    if case.dead:
        stop(bench, "10.1.0.2")
        async with asyncio.timeout(20):
            while (await bench.status(engine)).get("m2") != "DOWN":
                await asyncio.sleep(0.02)
        bench.space.backend("10.1.0.2", 80, "m2")  # lives again, unseen by a monitor that is lost


def stop(bench: Bench, address: str) -> None:
    """End the backend at an address and wait until it is gone."""
    found = ["ss", "-Hltnp", "src", address]
    listed = bench.space.call(lambda: subprocess.run(found, capture_output=True, check=True))
    pid = int(listed.stdout.decode().partition("pid=")[2].partition(",")[0])
    os.kill(pid, 9)

    def gone() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((address, 80)) != 0

    eventually("the end of a backend", lambda: bench.space.call(gone))


def name(case: Case) -> str:
    return f"{case.refused}; {case.said}; {case.also}".replace("; ; ", "; ").strip("; ")


@pytest.mark.parametrize("case", CASES, ids=name)
def test_a_refusal(bench: Bench, case: Case) -> None:
    """What is in force then is what the table says; the next good wish brings everything back."""

    good = case.before(GOOD) if case.before else GOOD

    async def scenario() -> None:
        engine = bench.engine()
        try:
            await prepared(bench, case, engine)
            await refused(bench, case, engine)
            assert await in_force(bench) == case.expected
            assert await engine.apply(good) == ()
            assert "closed" not in (await in_force(bench))[80]
        finally:
            await engine.stop()

    asyncio.run(scenario())


async def refused(bench: Bench, case: Case, engine: Engine) -> None:
    """Wish for what is refused; the fault is on the culprit alone, final, and in words."""
    wish = case.wish(case.before(GOOD) if case.before else GOOD)
    with contextlib.ExitStack() as stack:
        if case.taken:
            address = ("10.0.0.5", case.taken)
            stack.enter_context(bench.space.call(lambda: socket.create_server(address)))
        if case.culprit is None:
            stack.enter_context(pytest.raises(Retryable))
        faults = await engine.apply(wish)
        found = [(each.object_type, each.object_id, each.final) for each in faults]
        assert found == [(*(case.culprit or ()), True)]
        assert faults[0].text
