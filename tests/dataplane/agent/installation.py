"""One installation for one test: an agent process, a gateway, networks, backends, documents."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from statera.agent.amphora import Surroundings
from statera.agent.convergence import Pace
from statera.agent.daemon import AgentSettings
from statera.agent.disk import Disk
from statera.agent.engine import MakeEngine
from statera.agent.linux import LinuxHost
from statera.agent.names import Names
from statera.agent.namespace import Namespace
from statera.agent.removal import remove_everything
from statera.spec import wire
from statera.spec.document import (
    Address,
    AmphoraSpec,
    Interface,
    Listener,
    Member,
    NetworkSpec,
    Pool,
    Route,
    SubnetSpec,
)
from tests.dataplane.agent.gateway import Gateway
from tests.dataplane.agent.waiting import wait_for

RUN_AGENT = Path(__file__).with_name("run_agent.py")
BACKEND = Path(__file__).parents[2] / "backend.py"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def shell(*command: str) -> str:
    """Run a program and return what it prints; it must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def get(host: str, port: int = 80, timeout: float = 2.0) -> str:
    """Return the body of `GET /`; raises `OSError` or `HTTPException` when there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", "/", headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read().decode().strip()
    finally:
        connection.close()
    if response.status != 200:
        raise http.client.HTTPException(f"status {response.status}")
    return body


def answers(host: str) -> bool:
    """Return whether a request through the address succeeds."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return bool(get(host))
    return False


class Installation:
    """Everything is removed by `close`, also after a failure."""

    def __init__(self) -> None:
        self.short = "".join(secrets.choice(LETTERS) for _ in range(4))
        self.names = Names(self.short)
        self.folder = Path(tempfile.mkdtemp(prefix="st"))
        self.state = self.folder / "agent"
        self.socket = self.folder / "gateway.sock"
        self.gateway = Gateway(self.socket)
        self.agent: subprocess.Popen[bytes] | None = None
        self.log = self.folder / "log"
        self.net = f"10.{random.randint(64, 127)}.{random.randint(0, 255)}"
        self.net6 = f"fd77:{random.randint(0x1000, 0xFFFF):x}:{random.randint(0x1000, 0xFFFF):x}:"
        self.network_id = str(uuid.uuid4())
        self._backends: list[tuple[subprocess.Popen[bytes], str]] = []
        self._addresses: list[str] = []

    @property
    def settings(self) -> AgentSettings:
        """The agent's settings, for what runs in the test itself."""
        return AgentSettings(
            state_dir=self.state, installation=self.short, gateway_socket=self.socket
        )

    @property
    def bridge(self) -> str:
        """The bridge of the installation's one network."""
        return self.names.bridge(self.network_id)

    def start_agent(self, *under: str) -> None:
        """Start the agent process; `under` is a command that runs it."""
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen(
                [
                    *under,
                    sys.executable,
                    str(RUN_AGENT),
                    str(self.state),
                    self.short,
                    str(self.socket),
                ],
                stdout=log,
                stderr=log,
            )

    def end_agent(self, number: signal.Signals) -> None:
        """End the agent by a signal and wait for it."""
        assert self.agent is not None
        self.agent.send_signal(number)
        self.agent.wait(20)
        self.agent = None

    def restart_agent(self) -> None:
        """Kill the agent and start another."""
        self.end_agent(signal.SIGKILL)
        # What is heard and sent from now on is of the next agent.
        wait_for(lambda: not self.gateway.connected, "the end of the stream")
        self.gateway.forget()
        self.start_agent()

    def start(self, *under: str) -> None:
        """Start gateway and agent, with the network in force."""
        self.gateway.start()
        self.start_agent(*under)
        self.gateway.send(wire.Network(spec=self.network()))
        self.gateway.network_in_force(self.network_id, 1)

    def network(self, revision: int = 1, **fields: object) -> NetworkSpec:
        """Return the document of the installation's network."""
        values: dict[str, object] = {
            "subnets": (
                SubnetSpec(id="v4", cidr=f"{self.net}.0/24", gateway=f"{self.net}.1"),
                SubnetSpec(id="v6", cidr=f"{self.net6}:/64", gateway=f"{self.net6}:1"),
            ),
            **fields,
        }
        return NetworkSpec(
            network_id=self.network_id,
            epoch=1,
            revision=revision,
            **values,  # type: ignore[arg-type]
        )

    def amphora(self, number: int = 10, revision: int = 1, **fields: object) -> AmphoraSpec:
        """Return a document: VIP `<net>.<number>` and `<net6>:<number>`, one HTTP listener.

        Its one pool holds every backend that was started.
        """
        amphora_id, pool_id = self.amphora_id(number), self.pool_id(number)
        values: dict[str, object] = {
            "vips": (f"{self.net}.{number}", f"{self.net6}:{number}"),
            "interfaces": (self.interface(number),),
            "listeners": (
                Listener(
                    id=self.listener_id(number),
                    protocol="HTTP",
                    port=80,
                    default_pool_id=pool_id,
                ),
            ),
            "pools": (
                Pool(id=pool_id, protocol="HTTP", algorithm="ROUND_ROBIN", members=self.members()),
            ),
            **fields,
        }
        return AmphoraSpec(
            amphora_id=amphora_id,
            load_balancer_id=str(uuid.uuid5(uuid.UUID(amphora_id), "load balancer")),
            project_id="p",
            epoch=1,
            revision=revision,
            generation=revision,
            **values,  # type: ignore[arg-type]
        )

    def listener_id(self, number: int = 10) -> str:
        """Return the id of an amphora's listener."""
        return str(uuid.uuid5(uuid.UUID(self.amphora_id(number)), "listener"))

    def pool_id(self, number: int = 10) -> str:
        """Return the id of an amphora's pool."""
        return str(uuid.uuid5(uuid.UUID(self.amphora_id(number)), "pool"))

    def amphora_id(self, number: int = 10) -> str:
        """Return the id of the amphora whose VIP ends with `number`."""
        return str(uuid.uuid5(uuid.UUID(self.network_id), f"amphora {number}"))

    def interface(self, number: int = 10, **fields: object) -> Interface:
        """Return the interface of an amphora on the network: own address `number + 100`, VIPs."""
        port_id = str(uuid.uuid5(uuid.UUID(self.network_id), f"port {number}"))
        values: dict[str, object] = {
            "addresses": (
                Address(ip=f"{self.net}.{number + 100}", prefix=24),
                Address(ip=f"{self.net}.{number}", prefix=24),
                Address(ip=f"{self.net6}:{number + 100}", prefix=64),
                Address(ip=f"{self.net6}:{number}", prefix=64),
            ),
            "routes": (
                Route(destination="0.0.0.0/0", via=f"{self.net}.1"),
                Route(destination="::/0", via=f"{self.net6}:1"),
            ),
            **fields,
        }
        return Interface(
            port_id=port_id,
            network_id=self.network_id,
            mac=f"02:aa:{port_id[0:2]}:{port_id[2:4]}:{port_id[4:6]}:{port_id[6:8]}",
            **values,  # type: ignore[arg-type]
        )

    def members(self) -> tuple[Member, ...]:
        """Return the backends as members."""
        return tuple(
            Member(
                id=str(uuid.uuid5(uuid.UUID(self.network_id), f"member {number}")),
                address=address,
                port=8080,
            )
            for number, address in enumerate(self._addresses)
        )

    def space(self, number: int = 10) -> Namespace:
        """Return the namespace of an amphora."""
        return Namespace(self.names.namespace(self.amphora_id(number)))

    def engine_pids(self, number: int = 10) -> list[int]:
        """Return the pids of what runs inside an amphora."""
        inode = self.space(number).inode()
        return [
            pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _lives(pid, inode)
        ]

    def stop_backend(self) -> None:
        """End the first backend's server; its namespace stays and refuses connections."""
        server, _ = self._backends[0]
        server.kill()
        server.wait()

    def add_backend(self, *, ipv6: bool = False) -> None:
        """Start an HTTP server in a namespace of its own, on the installation's network."""
        number = len(self._backends)
        name = f"t{self.short}{number}"
        shell("ip", "netns", "add", name)
        shell("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        shell("ip", "link", "set", name, "master", self.bridge, "up")
        shell("ip", "-n", name, "link", "set", "eth0", "up")
        address = f"{self.net6}:{201 + number}" if ipv6 else f"{self.net}.{201 + number}"
        prefix = "64" if ipv6 else "24"
        # Nobody else has it: without "nodad" IPv6 would be of no use for two seconds.
        shell("ip", "-n", name, "addr", "add", f"{address}/{prefix}", "dev", "eth0", "nodad")
        server = subprocess.Popen(
            [
                "ip",
                "netns",
                "exec",
                name,
                sys.executable,
                str(BACKEND),
                f"backend{number}",
                address,
                "8080",
            ]
        )
        self._backends.append((server, name))
        self._addresses.append(address)
        wait_for(lambda: _connects(address), f"the backend {address}")

    def reconnect_backends(self) -> None:
        """Put the backends back into the bridge, after that was made anew."""
        for _, name in self._backends:
            shell("ip", "link", "set", name, "master", self.bridge, "up")

    def lose_the_machine(self) -> None:
        """Take from the machine what a reboot takes: processes, namespaces and links."""
        if self.agent is not None:
            self.end_agent(signal.SIGKILL)
        asyncio.run(remove_everything(self.settings))

    def close(self) -> None:
        """Remove everything."""
        with contextlib.suppress(ProcessLookupError):
            if self.agent is not None:
                self.end_agent(signal.SIGKILL)
        self.gateway.stop()
        for server, name in self._backends:
            server.kill()
            server.wait()
            subprocess.run(["ip", "netns", "del", name], check=False)
            subprocess.run(["ip", "link", "del", name], check=False, stderr=subprocess.DEVNULL)
        asyncio.run(remove_everything(self.settings))
        shutil.rmtree(self.folder)


def surroundings(installation: Installation, make_engine: MakeEngine) -> Surroundings:
    """Return what an amphora of the installation needs when it runs in the test itself."""
    return Surroundings(
        names=installation.names,
        host=LinuxHost(installation.names),
        disk=Disk(installation.state),
        make_engine=make_engine,
        pace=Pace(first=0.01),
        patience=10.0,
        slots=asyncio.Semaphore(1),
        changed=lambda _id: None,
    )


def traces(names: Names) -> list[str]:
    """Return the names of everything on the machine that is of an installation."""
    links = shell("ip", "-br", "link").split()
    found = [word.partition("@")[0] for word in links]
    ours = [name for name in found if names.is_bridge(name) or names.is_port(name)]
    folder = Path("/run/netns")
    spaces = os.listdir(folder) if folder.is_dir() else []
    return ours + [name for name in spaces if names.is_namespace(name)]


def _lives(pid: int, inode: int | None) -> bool:
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}/ns/net").st_ino == inode
    return False


def _connects(address: str) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return bool(get(address, 8080))
    return False
