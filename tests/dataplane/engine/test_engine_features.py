"""What each option does to real traffic."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from statera.spec.document import Listener, Member, Monitor, Persistence

if TYPE_CHECKING:
    from tests.dataplane.engine.conftest import Bench

Until = Callable[..., Awaitable[None]]
replace = msgspec.structs.replace


def test_process_is_harmless(bench: Bench) -> None:
    """HAProxy runs unprivileged, chrooted into an empty directory, within its descriptors."""

    async def scenario() -> None:
        engine = bench.engine()
        await engine.apply(bench.spec(bench.pool(bench.member(1))))
        (pid,) = bench.pids()
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t0" not in status
        assert "CapEff:\t0000000000000000" in status
        root = os.readlink(f"/proc/{pid}/root")
        assert root == str(bench.directory / "chroot")
        assert os.listdir(root) == []
        limits = Path(f"/proc/{pid}/limits").read_text()
        hard = int(limits.partition("Max open files")[2].split()[1])
        info = dict(line.split(": ", 1) for line in (await _ask(bench, "show info")).splitlines()
                    if ": " in line)  # fmt: skip
        assert int(info["Maxsock"]) <= hard
        assert int(info["Maxconn"]) >= min(hard, 1_000_000) // 3
        assert (bench.directory / "haproxy.cfg").stat().st_mode & 0o777 == 0o600
        await engine.stop()

    asyncio.run(scenario())


def test_nothing_to_serve(bench: Bench) -> None:
    """Disabled objects: no listener, no pool, no load balancer; each answers as it should."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        tcp = Listener(id="tcp", protocol="TCP", port=81)
        await engine.apply(replace(spec, listeners=(*spec.listeners, tcp)))
        empty = await bench.connect(port=81)
        assert await empty.reader.read() == b""
        empty.close()
        await engine.apply(replace(spec, pools=(bench.pool(bench.member(1), enabled=False),)))
        assert (await bench.get()).status == 503
        assert (await engine.observe()).pools == ()
        off = replace(spec.listeners[0], enabled=False)
        for disabled in (replace(spec, listeners=(off,)), replace(spec, enabled=False)):
            await engine.apply(spec)
            assert (await bench.get()).status == 200
            assert await engine.apply(disabled) == ()
            with pytest.raises(ConnectionRefusedError):
                await bench.connect()
            assert (await engine.observe()).serving
        await engine.stop()

    asyncio.run(scenario())


def test_allowed_cidrs_and_limits(bench: Bench) -> None:
    """Only allowed sources are served, on both families; a limit of 0 admits nobody."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        listener = replace(spec.listeners[0], allowed_cidrs=("10.1.0.0/29", "fd00::/64"))
        closed = replace(listener, id="closed", port=81, connection_limit=0, allowed_cidrs=())
        assert await engine.apply(replace(spec, listeners=(listener, closed))) == ()
        assert (await bench.get(source="10.1.0.3")).body == "m1"
        six = await bench.connect("fd00::5")
        assert (await six.ask()).body == "m1"
        six.close()
        for port, source in ((80, "10.1.0.9"), (81, "10.1.0.3")):
            with pytest.raises((OSError, EOFError)):
                await (await bench.connect(port=port, source=source)).ask()
        await engine.stop()

    asyncio.run(scenario())


def test_inserted_headers(bench: Bench) -> None:
    """The member sees who asked, on which port and by which protocol."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        spec = bench.spec(bench.pool(bench.member(1)))
        names = ("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto")
        headers = dict.fromkeys(names, "true")
        listener = replace(spec.listeners[0], insert_headers=headers)
        await engine.apply(replace(spec, listeners=(listener,)))
        seen = (await bench.get("/headers", source="10.1.0.3")).body.lower()
        assert "x-forwarded-for: 10.1.0.3" in seen
        assert "x-forwarded-port: 80" in seen
        assert "x-forwarded-proto: http" in seen
        await engine.stop()

    asyncio.run(scenario())


def test_proxy_protocol(bench: Bench) -> None:
    """A PROXY pool tells its members the client's address, from the file and added at run time."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        for number in (1, 2):
            await engine.apply(bench.spec(bench.pool(bench.member(number), protocol="PROXY")))
            seen = (await bench.get(source="10.1.0.3")).body
            assert seen.startswith("PROXY TCP4 10.1.0.3 10.0.0.5 ")
        await engine.stop()

    asyncio.run(scenario())


def test_source_ip_moves_few_clients(bench: Bench) -> None:
    """SOURCE_IP sends a source to one member; adding a member at run time moves only its share."""

    async def scenario() -> None:
        bench.backends(1, 2, 3)
        engine = bench.engine()
        pool = bench.pool(bench.member(1), bench.member(2), algorithm="SOURCE_IP")
        await engine.apply(bench.spec(pool))
        sources = [f"10.1.0.{number}" for number in range(1, 10)]
        before = {source: (await bench.get(source=source)).body for source in sources}
        assert {s: (await bench.get(source=s)).body for s in sources} == before
        grown = replace(pool, members=(*pool.members, bench.member(3)))
        await engine.apply(bench.spec(grown))
        after = {source: (await bench.get(source=source)).body for source in sources}
        assert all(after[source] in (before[source], "m3") for source in sources)
        # A reload finds the same places as the run-time change did.
        listener = replace(bench.spec(grown).listeners[0], timeout_client_data=40_000)
        await engine.apply(replace(bench.spec(grown), listeners=(listener,)))
        assert {s: (await bench.get(source=s)).body for s in sources} == after
        await engine.stop()

    asyncio.run(scenario())


def test_source_persistence_over_reloads(bench: Bench, until: Until) -> None:
    """A source stays with its member over many reloads, and over members that come."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        pool = bench.pool(
            bench.member(1), bench.member(2), persistence=Persistence(type="SOURCE_IP")
        )
        spec = bench.spec(pool)
        await engine.apply(spec)
        # A process hands its table over once it has settled, five seconds after a fresh start.
        await until(lambda: _settled(bench))
        kept = {s: (await bench.get(source=s)).body for s in ("10.1.0.3", "10.1.0.4")}
        assert sorted(kept.values()) == ["m1", "m2"]
        for turn in range(5):
            listener = replace(spec.listeners[0], timeout_client_data=40_000 + turn)
            await engine.apply(replace(spec, listeners=(listener,)))
            await until(lambda: _handed_over(bench))
            for source, body in kept.items():
                assert (await bench.get(source=source)).body == body
        await engine.stop()

    asyncio.run(scenario())


async def _ask(bench: Bench, text: str) -> str:
    path = max(bench.directory.glob("*.sock"), key=lambda path: int(path.stem))
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(text.encode() + b"\n")
    reply = await reader.read()
    writer.close()
    return reply.decode()


async def _settled(bench: Bench) -> bool:
    return "flags=0x33" in await _ask(bench, "show peers")


async def _handed_over(bench: Bench) -> bool:
    return "used:2" in await _ask(bench, "show table statera/pool")


def test_cookie_persistence(bench: Bench) -> None:
    """The cookie leads back to its member, also one added at run time, also after a reload."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        pool = bench.pool(bench.member(1), persistence=Persistence(type="HTTP_COOKIE"))
        await engine.apply(bench.spec(pool))
        grown = replace(pool, members=(*pool.members, bench.member(2)))
        await engine.apply(bench.spec(grown))
        cookies: dict[str, str] = {}
        for _ in range(4):
            reply = await bench.get()
            cookies[reply.body] = reply.headers["set-cookie"].partition(";")[0]
        assert set(cookies) == {"m1", "m2"}
        listener = replace(bench.spec(grown).listeners[0], timeout_client_data=40_000)
        for spec in (bench.spec(grown), replace(bench.spec(grown), listeners=(listener,))):
            await engine.apply(spec)
            for body, cookie in cookies.items():
                for _ in range(3):
                    assert (await bench.get(Cookie=cookie)).body == body
        await engine.stop()

    asyncio.run(scenario())


def test_application_cookie(bench: Bench) -> None:
    """A session that a member opened stays with it."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        pool = bench.pool(
            bench.member(1),
            bench.member(2),
            persistence=Persistence(type="APP_COOKIE", cookie_name="APPID"),
        )
        await engine.apply(bench.spec(pool))
        opened = await bench.get("/login")
        cookie = opened.headers["set-cookie"]
        for _ in range(4):
            assert (await bench.get(Cookie=cookie)).body == opened.body
        await engine.stop()

    asyncio.run(scenario())


def test_shared_pool_and_pass_through(bench: Bench) -> None:
    """Listeners of different protocols and time-outs share pools; each finds its members."""

    async def scenario() -> None:
        bench.backends(1)
        engine = bench.engine()
        web = bench.pool(bench.member(1))
        raw = bench.pool(bench.member(1), id="raw", protocol="TCP")
        spec = bench.spec(web, raw)
        listeners = (
            *spec.listeners,
            Listener(id="slow", protocol="HTTP", port=81, default_pool_id="pool",
                     timeout_member_data=1000),
            Listener(id="tcp", protocol="TCP", port=82, default_pool_id="pool"),
            Listener(id="pass", protocol="HTTPS", port=83, default_pool_id="raw",
                     timeout_tcp_inspect=10),
            Listener(id="raw", protocol="TCP", port=84, default_pool_id="raw"),
        )  # fmt: skip
        assert await engine.apply(replace(spec, listeners=listeners)) == ()
        for port in range(80, 85):
            connection = await bench.connect(port=port)
            assert (await connection.ask()).body == "m1"
            connection.close()
        state = await engine.observe()
        assert [pool.id for pool in state.pools] == ["pool", "raw"]
        assert len(state.listeners) == 5
        await engine.stop()

    asyncio.run(scenario())


def test_least_connections(bench: Bench, until: Until) -> None:
    """LEAST_CONNECTIONS gives nothing new to a member that is busy while another is not."""

    async def scenario() -> None:
        bench.backends(1, 2)
        engine = bench.engine()
        pool = bench.pool(bench.member(1), bench.member(2), algorithm="LEAST_CONNECTIONS")
        await engine.apply(bench.spec(pool))
        connection = await bench.connect()
        slow = asyncio.create_task(connection.ask("/slow"))

        async def busy() -> bool:
            return "1" in {await _open(bench, number) for number in (1, 2)}

        await until(busy)
        others = [(await bench.get()).body for _ in range(6)]
        assert not slow.done()
        assert (await slow).body not in others
        connection.close()
        await engine.stop()

    asyncio.run(scenario())


async def _open(bench: Bench, number: int) -> str:
    """Ask a member itself how many requests wait there."""
    connection = await bench.connect(f"10.1.0.{number}")
    try:
        return (await connection.ask("/open")).body
    finally:
        connection.close()


def test_proxy_protocol_v2(bench: Bench) -> None:
    """A PROXYV2 pool tells each client's own address, on connections that are shared otherwise."""

    async def scenario() -> None:
        heads: list[bytes] = []
        server = await _recorder(bench, "10.1.0.1", 80, heads)
        engine = bench.engine()
        assert await engine.apply(bench.spec(bench.pool(bench.member(1), protocol="PROXYV2"))) == ()
        for source in ("10.1.0.3", "10.1.0.4", "10.1.0.3"):
            assert (await bench.get(source=source)).status == 200
        signature = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11"
        assert all(head.startswith(signature) for head in heads)
        seen = {socket.inet_ntoa(head[16:20]) for head in heads}
        assert seen == {"10.1.0.3", "10.1.0.4"}
        server.close()
        await engine.stop()

    asyncio.run(scenario())


def test_http_check_names_a_host(bench: Bench, until: Until) -> None:
    """An HTTP/1.1 check without a domain name has the checked address as its host."""

    async def scenario() -> None:
        heads: list[bytes] = []
        servers = [
            await _recorder(bench, address, 8080, heads) for address in ("10.1.0.1", "fd00::5")
        ]
        engine = bench.engine()
        monitor = Monitor(
            id="hm", type="HTTP", delay=1, timeout=1, rise=1, fall=1, http_version=1.1
        )
        six = Member(id="six", address="fd00::5", port=8080)
        four = Member(id="four", address="10.1.0.1", port=80, monitor_port=8080)
        assert await engine.apply(bench.spec(bench.pool(four, six, monitor=monitor))) == ()

        async def both() -> bool:
            hosts = {line for head in heads for line in head.split(b"\r\n") if b"ost:" in line}
            return hosts == {b"host: 10.1.0.1", b"host: [fd00::5]"}

        await until(both)
        assert await bench.status(engine) == {"four": "UP", "six": "UP"}
        for server in servers:
            server.close()
        await engine.stop()

    asyncio.run(scenario())


async def _recorder(bench: Bench, address: str, port: int, heads: list[bytes]) -> asyncio.Server:
    """Serve HTTP, and note how every connection begins."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.read(4096)
        while head and not head.endswith(b"\r\n\r\n"):
            head += await reader.readexactly(1)
        heads.append(head)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = bench.space.call(lambda: socket.create_server((address, port), family=family))
    return await asyncio.start_server(serve, sock=opened)
