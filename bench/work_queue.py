"""How fast the work queue hands out work and takes it back, on each database.

Run as `python -m bench.work_queue`.  One thread claims batches, as a controller's does, and four
workers give each piece back under its fence.  CPU is ours and the database server's together.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from bench import cost, tables
from statera.store import work
from statera.store.database import Database
from statera.store.upgrade import upgrade
from tests.databases import ALL, fresh_url

BATCH = 16
WORKERS = 4


@dataclass
class Sample:
    """Of each round: pieces per second and CPU seconds for each piece; the same for wishes."""

    rates: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    nudges: list[float] = field(default_factory=list)


class Bench:
    """A database with `pieces` rows of work."""

    def __init__(self, kind: str, directory: Path, pieces: int) -> None:
        url = fresh_url(kind, directory)
        upgrade(url)
        self._wishes = Database(url, durable=True)
        self._work = Database(url, durable=False)
        self._ids = [f"00000000-0000-4000-8000-{number:012d}" for number in range(pieces)]
        self.sample = Sample()

    def round(self) -> None:
        """Make everything due, then work it all off."""
        began = time.monotonic()
        for each in self._ids:
            self._wishes.write(_nudging(each))
        self.sample.nudges.append(len(self._ids) / (time.monotonic() - began))
        cpu, began = _cpu(), time.monotonic()
        self._work_off()
        took = time.monotonic() - began
        self.sample.rates.append(len(self._ids) / took)
        self.sample.spent.append((_cpu() - cpu) / len(self._ids))

    def close(self) -> None:
        """Close every connection."""
        self._wishes.close()
        self._work.close()

    def _work_off(self) -> None:
        claimed: queue.SimpleQueue[work.Claim | None] = queue.SimpleQueue()
        workers = [threading.Thread(target=self._finish, args=(claimed,)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        found = 0
        while found < len(self._ids):
            claims = self._work.write(lambda c: work.claim(c, "bench", 60, BATCH))
            found += len(claims)
            for each in claims:
                claimed.put(each)
        for _ in workers:
            claimed.put(None)
        for worker in workers:
            worker.join()

    def _finish(self, claimed: queue.SimpleQueue[work.Claim | None]) -> None:
        while (claim := claimed.get()) is not None:
            self._work.write(_finishing(claim))


def _nudging(load_balancer_id: str) -> Callable[[Connection], None]:
    return lambda connection: work.nudge(connection, load_balancer_id)


def _finishing(claim: work.Claim) -> Callable[[Connection], None]:
    def finish(connection: Connection) -> None:
        work.fenced(connection, claim)
        work.finish(connection, claim)

    return finish


def _cpu() -> float:
    """Return the CPU seconds of this process and of the servers, which are its children."""
    return cost.family_cpu(os.getpid())


def main() -> None:
    """Measure and print."""
    quick = tables.quick(__doc__)
    machine = tables.machine()
    rounds, pieces = (2, 100) if quick else (7, 500)
    with tempfile.TemporaryDirectory() as directory:
        benches = {}
        for kind in ALL:
            try:
                benches[kind] = Bench(kind, Path(directory), pieces)
            except pytest.skip.Exception as missing:
                tables.note(f"left out: {missing}")
        for bench in benches.values():
            bench.round()  # the first one prepares statements
            bench.sample = Sample()
        for turn in range(rounds):
            tables.note(f"turn {turn + 1} of {rounds}")
            for bench in benches.values():
                bench.round()
        for bench in benches.values():
            bench.close()
    print(machine + "\n")
    tables.say(
        f"{pieces} pieces of work, claimed {BATCH} at a time, finished by {WORKERS} threads",
        ["database", "wishes/s", "claimed and finished/s", "CPU each, ms"],
        [
            [
                kind,
                f"{tables.median(bench.sample.nudges):,.0f}",
                f"{tables.median(bench.sample.rates):,.0f}",
                tables.milliseconds(tables.median(bench.sample.spent)),
            ]
            for kind, bench in benches.items()
        ],
        f"Medians of {rounds} interleaved rounds. A wish is one transaction, to finish a piece is "
        "another. CPU is that of a piece, ours and the server's. The servers run without fsync; "
        "SQLite as in production: wishes with `synchronous=FULL`, work with `NORMAL`.",
    )


if __name__ == "__main__":
    main()
