"""Talking to a running HAProxy through its stats socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

from statera.lb.errors import Final, Retryable
from statera.render.change import (
    AddMember,
    Operation,
    RefreshCookies,
    RemoveMember,
    SetEnabled,
    SetWeight,
)

_TIMEOUT = 3.0
"""Seconds for one answer, which takes a thousandth of that; callers wait for it."""
_PROMPT = b"\n> "
_FINE = frozenset({"", "New server registered.", "Server deleted."})
_LIMIT = 1 << 26
"""Longest reply, bytes: `show stat` of tens of thousands of members stays far below."""


class RuntimeGone(Retryable):
    """The socket does not answer: the process is dead or dying."""


class RuntimeRefused(Final):
    """HAProxy answered that it does not do this."""


async def command(socket: Path, text: str, timeout: float = _TIMEOUT) -> str:
    """Return the reply to one command; raise `RuntimeGone`."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(text.encode() + b"\n")
                reply = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise RuntimeGone(f"no answer from HAProxy ({type(error).__name__})") from error
    # Every reply ends with an empty line: one that does not was cut off by the end of the process.
    if reply != b"\n" and not reply.endswith(b"\n\n"):
        raise RuntimeGone("HAProxy broke off its answer")
    return reply.decode(errors="replace")


async def held(socket: Path) -> bool:
    """Say whether any process holds the socket, even one that does not answer yet."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except BlockingIOError:
        return True
    writer.close()
    return True


class Session:
    """One connection for many commands.  It outlives the closing of the process's sockets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, socket: Path) -> Session:
        """Return a session that HAProxy does not end for being idle; raise `RuntimeGone`."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                streams = await asyncio.open_unix_connection(str(socket), limit=_LIMIT)
        except (OSError, TimeoutError) as error:
            raise RuntimeGone(f"no answer from HAProxy ({type(error).__name__})") from error
        session = cls(*streams)
        try:
            await session.ask("prompt")
            await session.ask("set timeout cli 1d")
        except BaseException:
            session.close()
            raise
        return session

    async def ask(self, text: str) -> str:
        """Return the reply to one command; raise `RuntimeGone`, which ends the session."""
        try:
            async with asyncio.timeout(_TIMEOUT), self._turn:
                self._writer.write(text.encode() + b"\n")
                reply = await self._reader.readuntil(_PROMPT)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
            # What comes late would be taken for the answer to the next question.
            self.close()
            raise RuntimeGone(f"no answer from HAProxy ({type(error).__name__})") from error
        return reply[: -len(_PROMPT)].decode(errors="replace")

    async def order(self, text: str) -> None:
        """Carry out one command; raise `RuntimeRefused` with HAProxy's words, or `RuntimeGone`."""
        reply = (await self.ask(text)).strip()
        if reply not in _FINE:
            raise RuntimeRefused(reply.splitlines()[0])

    def close(self) -> None:
        """End the session."""
        self._writer.close()


def orders(operation: Operation) -> list[str]:
    """Return the commands of `operation`, in order.

    A removed member only stops to get anything new here: deleting it must wait for its connections.
    """
    if isinstance(operation, RefreshCookies):
        return [f"set dynamic-cookie-key backend {operation.backend} {operation.key}"]
    server = f"{operation.backend}/{operation.member_id}"
    if isinstance(operation, AddMember):
        texts = [f"add server {operation.backend}/{operation.words}"]
        if operation.checked:
            texts.append(f"enable health {server}")
        if operation.enabled:
            texts.append(f"enable server {server}")
        return texts
    if isinstance(operation, SetWeight):
        return [f"set server {server} weight {operation.weight}"]
    if isinstance(operation, SetEnabled):
        return [f"set server {server} state {'ready' if operation.enabled else 'maint'}"]
    if isinstance(operation, RemoveMember):
        return [f"set server {server} state maint"]
    raise AssertionError(operation)
