"""Requests to the VIP over a few keep-alive connections, counted by the backend that answered."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

_CONNECTIONS = 8
_TIMEOUT = 5.0


@dataclass(slots=True)
class Tally:
    """What came of a number of requests."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        """How many requests had no 200 for an answer."""
        return self.failures.total()

    def text(self) -> str:
        """Return the counts as text."""
        parts = [f"{name} {count}" for name, count in sorted(self.answers.items())]
        parts += [f"{count} failed ({why})" for why, count in sorted(self.failures.items())]
        return ", ".join(parts)


def send(address: str, port: int, requests: int, connections: int = _CONNECTIONS) -> Tally:
    """Send `requests` GETs over `connections` keep-alive connections and count the answers."""
    tally = Tally()
    lock = threading.Lock()
    shares = [
        requests // connections + (index < requests % connections) for index in range(connections)
    ]
    began = time.monotonic()
    threads = [
        threading.Thread(target=_client, args=(address, port, share, tally, lock))
        for share in shares
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally.seconds = time.monotonic() - began
    return tally


def _client(address: str, port: int, requests: int, tally: Tally, lock: threading.Lock) -> None:
    connection = http.client.HTTPConnection(address, port, timeout=_TIMEOUT)
    answers: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for _ in range(requests):
        try:
            connection.request("GET", "/")
            reply = connection.getresponse()
            body = reply.read().decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            failures[type(error).__name__] += 1
            connection.close()
            continue
        if reply.status == http.client.OK:
            answers[body] += 1
        else:
            failures[str(reply.status)] += 1
    connection.close()
    with lock:
        tally.answers.update(answers)
        tally.failures.update(failures)


def answered(address: str, port: int, timeout: float = 0.25) -> bool:
    """Return whether one new connection gets a 200."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class FirstByte:
    """Watches the VIP from now on, on a thread: `at` is when the first 200 came (monotonic)."""

    def __init__(self, address: str, port: int) -> None:
        self.at: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(address, port), daemon=True)
        self._thread.start()

    def _watch(self, address: str, port: int) -> None:
        while not self._end.is_set():
            if answered(address, port):
                self.at = time.monotonic()
                return
            self._end.wait(0.005)

    def wait(self, seconds: float) -> float | None:
        """Return when the first 200 came; None if none came within `seconds`."""
        self._thread.join(seconds)
        self._end.set()
        return self.at
