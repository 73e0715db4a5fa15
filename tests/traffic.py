"""Load for tests and benches: keep-alive HTTP clients that count every failed request."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Tally:
    """What the clients saw: answers by body, failures in words, the longest wait in seconds."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0

    @property
    def requests(self) -> int:
        """Return how many requests were answered."""
        return sum(self.answers.values())


class _Client:
    """One keep-alive connection; reconnects only when the server said `Connection: close`."""

    def __init__(self, address: str, port: int, tally: Tally) -> None:
        self._peer = (address, port)
        self._tally = tally
        host = f"[{address}]" if ":" in address else address
        self._request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()

    async def run(self, stop: asyncio.Event) -> None:
        reader = writer = None
        while not stop.is_set():
            started = time.monotonic()
            try:
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection(*self._peer)
                closing = await self._once(reader, writer)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                self._tally.failures.append(f"{type(error).__name__}: {error}")
                closing = True
                await asyncio.sleep(0.01)
            self._tally.longest = max(self._tally.longest, time.monotonic() - started)
            if closing and writer is not None:
                writer.close()
                reader = writer = None
        if writer is not None:
            writer.close()

    async def _once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(self._request)
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode().lower()
        length = head.partition("content-length:")[2].partition("\r\n")[0]
        body = (await reader.readexactly(int(length))).decode().strip() if length else ""
        if head.startswith("http/1.1 200"):
            self._tally.answers[body] += 1
        else:
            self._tally.failures.append(head.partition("\r\n")[0])
        return "connection: close" in head or not length


@contextlib.contextmanager
def load(address: str, port: int = 80, connections: int = 32) -> Iterator[Tally]:
    """Keep `connections` clients busy on a thread of its own; yield what they see."""
    tally = Tally()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def drive() -> None:
        clients = [_Client(address, port, tally) for _ in range(connections)]
        await asyncio.gather(*(client.run(stop) for client in clients))

    thread = threading.Thread(target=lambda: loop.run_until_complete(drive()), daemon=True)
    thread.start()
    try:
        yield tally
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
