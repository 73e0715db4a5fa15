"""The real `openstack` client: one shell, fed one script."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from statera.cli.clouds import CLOUD
from statera.cli.console import Stop

LOAD_BALANCER = "demo-lb"


def creation(subnet_id: str, vip: str, backends: Sequence[tuple[str, str, int]]) -> list[str]:
    """Return the commands that make the load balancer; `backends` are (name, address, port)."""
    brief = "-c name -c provisioning_status"
    lines = [
        f"loadbalancer create --name {LOAD_BALANCER} --vip-subnet-id {subnet_id}"
        f" --vip-address {vip} -c vip_address {brief}",
        f"loadbalancer listener create --name demo-listener --protocol HTTP --protocol-port 80"
        f" {brief} {LOAD_BALANCER}",
        "loadbalancer pool create --name demo-pool --protocol HTTP --lb-algorithm ROUND_ROBIN"
        f" --listener demo-listener {brief}",
        "loadbalancer healthmonitor create --name demo-monitor --type HTTP --url-path /"
        f" --delay 1 --timeout 1 --max-retries 1 --max-retries-down 2 {brief} demo-pool",
    ]
    lines += [
        f"loadbalancer member create --name {name} --subnet-id {subnet_id} --address {address}"
        f" --protocol-port {port} -c address {brief} demo-pool"
        for name, address, port in backends
    ]
    return lines


def inspection() -> list[str]:
    """Return the commands that show what became of it."""
    return [
        f"loadbalancer show {LOAD_BALANCER} -c name -c vip_address -c operating_status"
        " -c provisioning_status",
        "loadbalancer member list demo-pool -c name -c address -c operating_status",
        f"loadbalancer stats show {LOAD_BALANCER}",
        f"loadbalancer status show {LOAD_BALANCER}",
    ]


def run_script(lines: Sequence[str], clouds: Path) -> None:
    """Run the commands in one shell of the client, its output on the terminal.

    The shell goes on after an error and its exit code says nothing: look at what it made.
    """
    for line in lines:
        print(f"$ openstack {line}")
    sys.stdout.flush()
    subprocess.run(
        [str(client_path())],
        input="\n".join(lines) + "\n",
        text=True,
        env=client_environment(clouds),
        check=False,
    )


def client_path() -> Path:
    """Return the `openstack` command that was installed with us; raise `Stop` without one."""
    path = Path(sys.executable).parent / "openstack"
    if not path.exists():
        raise Stop(
            "the openstack client is not installed beside statera (`pip install statera[client]`)"
        )
    return path


def client_environment(clouds: Path) -> dict[str, str]:
    """Return an environment in which the client talks to this installation and nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return {**kept, "OS_CLOUD": CLOUD, "OS_CLIENT_CONFIG_FILE": str(clouds)}
