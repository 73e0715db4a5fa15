"""The agent's one stream: it dials a gateway, takes documents and says what is true.

Silence and broken streams change nothing on the machine; the agent dials again, quickly at first.
How the connection is opened is a function of its own (`Dial`), so that TLS between machines is
another function and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
from websockets.asyncio.client import unix_connect
from websockets.exceptions import WebSocketException

from statera.agent.machine import Machine
from statera.lb.errors import Retryable, StateraError
from statera.service.readiness import notify_ready
from statera.spec import wire
from statera.spec.report import AmphoraReport, NetworkReport

LOG = logging.getLogger(__name__)


class Connection(Protocol):
    """An open stream of frames; it raises `websockets.ConnectionClosed` once it is broken."""

    async def send(self, frame: bytes, /) -> None:
        """Send a frame."""
        ...

    async def recv(self) -> str | bytes:
        """Return the next frame."""
        ...

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Yield frames until the other side ends the stream in order."""
        ...


Dial = Callable[[], AbstractAsyncContextManager[Connection]]

_LARGEST_FRAME = 64 * 2**20
_REPORTS_PER_FRAME = 50
_WELCOME_PATIENCE = 10.0


class NoGateway(Retryable):
    """The other side does not speak as a gateway does."""


@dataclass(frozen=True)
class StreamPace:
    """How quick the stream is, in seconds."""

    first_retry: float = 0.05
    longest_retry: float = 5.0
    gather: float = 0.02
    """Changes within this time go into one report."""
    longest_report_interval: float = 10.0


def unix_dial(path: Path, keepalive: float) -> Dial:
    """Return a `Dial` to the gateway of this machine; `keepalive` is seconds between pings."""

    def dial() -> AbstractAsyncContextManager[Connection]:
        return unix_connect(
            str(path),
            uri="ws://gateway/agent",
            compression=None,
            max_size=_LARGEST_FRAME,
            ping_interval=keepalive,
            ping_timeout=2 * keepalive,
            close_timeout=1,
        )

    return dial


class Stream:
    """Keeps one stream open for as long as it runs."""

    def __init__(
        self,
        dial: Dial,
        machine: Machine,
        introduce: Callable[[], Awaitable[wire.Hello]],
        pace: StreamPace,
    ) -> None:
        self._dial = dial
        self._machine = machine
        self._introduce = introduce
        self._pace = pace
        self._failures = 0

    async def run(self) -> None:
        """Dial, converse, dial again, until cancelled."""
        while True:
            try:
                async with self._dial() as connection:
                    await self._converse(connection)
            except (OSError, WebSocketException, msgspec.DecodeError, StateraError) as error:
                # Only the first of a row: a gateway that is away for long fills no log.
                level = logging.INFO if self._failures == 0 else logging.DEBUG
                LOG.log(level, "stream.lost error=%s", error or type(error).__name__)
            self._failures += 1
            longest = min(
                self._pace.longest_retry, self._pace.first_retry * 2.0 ** min(self._failures, 20)
            )
            await asyncio.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311

    async def _converse(self, connection: Connection) -> None:
        await connection.send(wire.encode(await self._introduce()))
        async with asyncio.timeout(_WELCOME_PATIENCE):
            welcome = wire.decode_from_gateway(_frame(await connection.recv()))
        if not isinstance(welcome, wire.Welcome):
            raise NoGateway(f"the first message was {type(welcome).__name__}")
        LOG.info("stream.opened gateway=%s", welcome.gateway_id)
        notify_ready()
        clock = asyncio.get_running_loop().time
        opened = clock()
        self._machine.note_everything()
        interval = min(max(welcome.report_interval, 0.1), self._pace.longest_report_interval)
        tasks = [
            asyncio.create_task(self._listen(connection)),
            asyncio.create_task(self._speak(connection, interval)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # A gateway that welcomes and then drops us fails too, so only a lasting stream counts.
            if clock() - opened > self._pace.longest_retry:
                self._failures = 0

    async def _listen(self, connection: Connection) -> None:
        async for data in connection:
            try:
                message = wire.decode_from_gateway(_frame(data))
            except msgspec.DecodeError as error:  # of a later release: not for us
                LOG.warning("stream.unreadable error=%s", error)
                continue
            self._machine.obey(message)

    async def _speak(self, connection: Connection, interval: float) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + interval
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._machine.changes.wait()
                    await asyncio.sleep(self._pace.gather)
            ids = self._machine.changes.take()
            if ids:
                await _send(connection, self._machine.reports(ids))
            if clock() >= due:
                await _send(connection, self._machine.reports(None))
                due = clock() + interval


async def _send(connection: Connection, reports: Iterable[AmphoraReport | NetworkReport]) -> None:
    everything = list(reports)
    for start in range(0, len(everything), _REPORTS_PER_FRAME):
        part = everything[start : start + _REPORTS_PER_FRAME]
        message = wire.Report(
            amphorae=tuple(each for each in part if isinstance(each, AmphoraReport)),
            networks=tuple(each for each in part if isinstance(each, NetworkReport)),
        )
        await connection.send(wire.encode(message))


def _frame(data: str | bytes) -> bytes:
    if isinstance(data, str):
        raise NoGateway("a text frame")
    return data
