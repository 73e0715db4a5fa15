"""A whole Statera of its own for tests and benches: one state directory, one port, own namespaces.

Everything it makes carries its installation id, so several run beside each other, and `down` leaves
nothing behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent


def eventually(what: str, probe: Callable[[], T | None], seconds: float = 30.0) -> T:
    """Return the first true result of `probe`; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            result = probe()
            if result:
                return result
            last = result
        except (OSError, httpx.HTTPError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s (last: {last!r})")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def some_range() -> str:
    """Return a private /24 that nobody else is likely to use."""
    return f"10.{random.randrange(128, 224)}.{random.randrange(256)}.0/24"


class Installation:
    """One `statera up` below `directory`, and a REST client with an admin's token."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, "HOME": str(directory), "PYTHONPATH": str(ROOT / "src")}
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def statera(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the `statera` command on this installation."""
        command = [sys.executable, "-m", "statera.cli.main", *arguments]
        command += ["--state-dir", str(self.directory / "state")]
        return subprocess.run(
            command, env=self.environment, check=check, capture_output=True, text=True
        )

    def up(self) -> None:
        """Start everything, wait until it is ready, and log in."""
        started = self.statera("up", "--detach", "--bind", f"127.0.0.1:{self.port}", check=False)
        assert started.returncode == 0, started.stdout + started.stderr
        self.login()

    def login(self) -> None:
        """Get a token from the clouds.yaml that the installation wrote."""
        auth = self.cloud()["auth"]
        user = {"name": auth["username"], "password": auth["password"], "domain": {"id": "default"}}
        scope = {"project": {"name": auth["project_name"], "domain": {"id": "default"}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": scope}}
        reply = self.http.post("/identity/v3/auth/tokens", json=body)
        assert reply.status_code == 201, reply.text
        self.http.headers["X-Auth-Token"] = reply.headers["X-Subject-Token"]

    def cloud(self) -> dict[str, Any]:
        """Return the entry of this installation in its clouds.yaml."""
        text = (self.directory / "state" / "clouds.yaml").read_text()
        cloud: dict[str, Any] = yaml.safe_load(text)["clouds"]["statera"]
        return cloud

    def down(self) -> None:
        """Stop everything and remove the data plane."""
        self.http.close()
        self.statera("down")

    def processes(self) -> dict[str, int]:
        """Return the pids of the supervised processes by name."""
        status = json.loads(self.statera("status", "--json").stdout)
        return {process["name"]: process["pid"] for process in status["processes"]}

    def kill(self, name: str) -> int:
        """Kill one supervised process with signal 9 and return its former pid."""
        pid = self.processes()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def call(self, method: str, path: str, body: Any = None, *, expect: int | None = None) -> Any:
        """Call the load balancer API (`path` below /v2.0/lbaas) and return the reply's JSON."""
        reply = self.http.request(method, f"/load-balancer/v2.0/lbaas{path}", json=body)
        wanted = expect or {"GET": 200, "POST": 201, "PUT": 200, "DELETE": 204}[method]
        assert reply.status_code == wanted, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None

    def network(self, cidr: str | None = None) -> tuple[str, str]:
        """Create a network with one subnet, of a range of its own unless `cidr` is given.

        Return (network id, subnet id).

        Other installations on the machine take ranges too: what they have is refused, and another
        is tried.
        """
        network = self.neutron("networks", {"network": {"name": "test"}})["network"]["id"]
        for _ in range(20):
            body = {"network_id": network, "cidr": cidr or some_range(), "ip_version": 4}
            reply = self.http.post("/network/v2.0/subnets", json={"subnet": body})
            if reply.status_code == 201:
                return network, reply.json()["subnet"]["id"]
            assert reply.status_code == 409, reply.text
        raise AssertionError(f"no free range: {reply.text}")

    def neutron(self, collection: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object of the Network API."""
        reply = self.http.post(f"/network/v2.0/{collection}", json=body)
        assert reply.status_code == 201, reply.text
        created: dict[str, Any] = reply.json()
        return created

    def settled(self, load_balancer_id: str, seconds: float = 20.0) -> dict[str, Any]:
        """Wait until the load balancer is ACTIVE and return it."""

        def probe() -> dict[str, Any] | None:
            found: dict[str, Any] = self.call("GET", f"/loadbalancers/{load_balancer_id}")
            found = found["loadbalancer"]
            return found if found["provisioning_status"] == "ACTIVE" else None

        return eventually(f"load balancer {load_balancer_id} ACTIVE", probe, seconds)


class Backend:
    """An HTTP server in a namespace of its own, plugged into a network's bridge."""

    def __init__(self, installation: Installation, network_id: str, name: str) -> None:
        self.name = name
        port = {"network_id": network_id, "name": name}
        created = installation.neutron("ports", {"port": port})["port"]
        self.address: str = created["fixed_ips"][0]["ip_address"]
        self.mac: str = created["mac_address"]
        self.space = f"tb{os.getpid()}-{name}"
        self.link = f"tb{created['id'][:10]}"
        self.process: subprocess.Popen[bytes] | None = None
        self._plug(network_id)
        self.start()

    def _plug(self, network_id: str) -> None:
        bridge = eventually(f"bridge of {network_id}", lambda: bridge_of(network_id))
        run("ip", "netns", "add", self.space)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "eth0", "netns", self.space)
        run("ip", "link", "set", self.link, "master", bridge, "up")
        inside = ["ip", "-n", self.space]
        run(*inside, "link", "set", "eth0", "address", self.mac, "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "address", "add", f"{self.address}/24", "dev", "eth0")

    def start(self) -> None:
        """Start the server and wait until it accepts."""
        serve = [sys.executable, "-m", "tests.backend", self.name, self.address, "8080"]
        command = ["ip", "netns", "exec", self.space, *serve]
        self.process = subprocess.Popen(command, cwd=ROOT)
        eventually(f"backend {self.name}", self._accepts)

    def _accepts(self) -> bool:
        with socket.create_connection((self.address, 8080), timeout=1):
            return True

    def stop(self) -> None:
        """Kill the server; the namespace stays."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self) -> None:
        """Kill the server and remove its namespace."""
        self.stop()
        subprocess.run(["ip", "netns", "del", self.space], check=False, capture_output=True)

    def member(self, **more: Any) -> dict[str, Any]:
        """Return the member of the API that this server is."""
        return {"name": self.name, "address": self.address, "protocol_port": 8080, **more}


def bridge_of(network_id: str) -> str | None:
    """Return the name of the bridge of a network, if the agent has made it."""
    found = json.loads(run("ip", "-j", "link", "show", "type", "bridge"))
    names: list[str] = [link["ifname"] for link in found]
    return next((n for n in names if n.startswith("st") and network_id[:8] in n), None)


def run(*command: str) -> str:
    """Run a command and return what it prints; its complaint is part of the failure."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@contextlib.contextmanager
def installation() -> Iterator[Installation]:
    """Yield a running installation and leave nothing of it behind."""
    with tempfile.TemporaryDirectory(prefix="st") as directory:
        made = Installation(Path(directory))
        try:
            made.up()
            yield made
        finally:
            made.down()
