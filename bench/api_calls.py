"""What the API's calls cost, on SQLite and PostgreSQL, with the embedded identity and network.

Run as `python -m bench.api_calls`.  Only the API process runs; clients are four keep-alive
connections that ask one request after the other.  CPU is the API's and the database server's.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench import cost, tables
from tests.databases import fresh_url
from tests.installation import Installation, eventually

KINDS = ("sqlite", "postgresql")
CLIENTS = 4
BASE = "/load-balancer/v2.0/lbaas"

Request = tuple[str, str, Any]


@dataclass
class Sample:
    """Of each round: requests per second, and CPU seconds of a request."""

    rates: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)


class Served:
    """An API of its own on a database of its own, with 100 load balancers and one full pool."""

    def __init__(self, kind: str, directory: Path) -> None:
        self._kind = kind
        self._here = Installation(directory)
        url = fresh_url(kind, directory)
        self._here.environment |= {
            "OS_DATABASE__CONNECTION": url,
            "OS_SERVER__BIND_PORT": str(self._here.port),
        }
        self._run("prepare").wait()
        self._process = self._run("api")
        eventually("the API", self._answers, 60)
        self._here.login()
        self._fill()
        self.samples: dict[str, Sample] = {}

    def calls(self) -> dict[str, Callable[[int], Request]]:
        """Return what is measured: the number of a request -> request."""
        members = [
            [{**member, "weight": weight} for member in _members(100)] for weight in range(1, 3)
        ]
        tree = {"loadbalancer": {"name": "more", "vip_subnet_id": self._subnet}}
        return {
            "show a load balancer": lambda _: ("GET", f"/loadbalancers/{self._shown}", None),
            "list 100 load balancers": lambda _: ("GET", "/loadbalancers?limit=100", None),
            "show a pool of 100 members": lambda _: ("GET", f"/pools/{self._pool}", None),
            "change a member": lambda number: (
                "PUT",
                f"/pools/{self._pool}/members/{self._member}",
                {"member": {"weight": 1 + number % 9}},
            ),
            "create a load balancer": lambda _: ("POST", "/loadbalancers", tree),
            "batch of 100 members": lambda number: (
                "PUT",
                f"/pools/{self._pool}/members",
                {"members": members[number % 2]},
            ),
        }

    def round(self, name: str, count: int) -> None:
        """Send `count` requests of one kind."""
        call, sample = self.calls()[name], self.samples.setdefault(name, Sample())
        share = count // CLIENTS
        threads = [
            threading.Thread(target=self._ask, args=(call, first, share))
            for first in range(CLIENTS)
        ]
        cpu, began = self._cpu(), time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        sample.rates.append(share * CLIENTS / took)
        sample.spent.append((self._cpu() - cpu) / (share * CLIENTS))

    def close(self) -> None:
        """End the API."""
        self._here.http.close()
        self._process.terminate()
        self._process.wait()

    def _run(self, process: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "statera.cli.main", "run", process]
        command += ["--state-dir", str(self._here.directory / "state")]
        with (self._here.directory / f"{process}.log").open("wb") as log:
            return subprocess.Popen(
                command, env=self._here.environment, stdout=log, stderr=subprocess.STDOUT
            )

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise SystemExit((self._here.directory / "api.log").read_text()[-2000:])
        return self._here.http.get("/").status_code < 500

    def _fill(self) -> None:
        _network, self._subnet = self._here.network("10.64.0.0/12")
        body = {"loadbalancer": {"name": "lb", "vip_subnet_id": self._subnet}}
        made = [self._here.call("POST", "/loadbalancers", body) for _ in range(100)]
        self._shown: str = made[0]["loadbalancer"]["id"]
        pool = {"loadbalancer_id": self._shown, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        self._pool: str = self._here.call("POST", "/pools", {"pool": pool})["pool"]["id"]
        path = f"/pools/{self._pool}/members"
        self._here.call("PUT", path, {"members": _members(100)}, expect=202)
        self._member: str = self._here.call("GET", path)["members"][0]["id"]

    def _ask(self, call: Callable[[int], Request], first: int, count: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._here.port, timeout=60)
        headers = {"X-Auth-Token": self._here.http.headers["X-Auth-Token"]}
        for number in range(first * count, (first + 1) * count):
            method, path, body = call(number)
            content = None if body is None else json.dumps(body)
            kind = {"Content-Type": "application/json"} if content else {}
            connection.request(method, BASE + path, content, {**headers, **kind})
            reply = connection.getresponse()
            text = reply.read()
            if reply.status >= 300:
                raise SystemExit(f"{method} {path}: {reply.status} {text.decode()}")
        connection.close()

    def _cpu(self) -> float:
        """Return the CPU seconds of the API and of its database server, if it has one.

        The server is a child of this process, as every API is.
        """
        servers = [pid for pid in cost.children(os.getpid()) if cost.program(pid) == "postgres"]
        pids = [self._process.pid, *(servers if self._kind == "postgresql" else [])]
        return sum(cost.family_cpu(pid) for pid in pids)


def _members(count: int) -> list[dict[str, Any]]:
    return [{"address": f"10.64.9.{1 + number}", "protocol_port": 80} for number in range(count)]


def main() -> None:
    """Measure and print."""
    quick = tables.quick(__doc__)
    machine = tables.machine()
    rounds, count = (1, 40) if quick else (5, 400)
    with tempfile.TemporaryDirectory(prefix="st") as directory:
        served = {}
        for kind in KINDS:
            own = Path(directory) / kind
            own.mkdir()
            try:
                served[kind] = Served(kind, own)
            except pytest.skip.Exception as missing:
                tables.note(f"left out: {missing}")
        names = list(served["sqlite"].calls())
        for turn in range(rounds + 1):
            tables.note(f"turn {turn} of {rounds}")
            for name in names:
                for one in served.values():
                    one.round(name, 40 if "batch" in name else count)
            if turn == 0:  # the first one prepares statements
                for one in served.values():
                    one.samples.clear()
        for one in served.values():
            one.close()
    print(machine + "\n")
    tables.say(
        f"{CLIENTS} clients, one request after the other",
        ["call", *(f"{kind}, {what}" for kind in served for what in ("requests/s", "CPU, ms"))],
        [[name, *_cells([one.samples[name] for one in served.values()])] for name in names],
        f"Medians of {rounds} interleaved rounds. CPU is that of one request, the API's and the "
        "database server's. The clients run on the same cores, so requests/s are a lower bound.",
    )


def _cells(samples: list[Sample]) -> list[str]:
    cells = []
    for sample in samples:
        cells.append(f"{tables.median(sample.rates):,.0f}")
        cells.append(tables.milliseconds(tables.median(sample.spent)))
    return cells


if __name__ == "__main__":
    main()
