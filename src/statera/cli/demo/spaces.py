"""The network namespaces of the demo's backends: plugged into the network's bridge, and removed.

They carry the installation's short id, so `statera down` finds them without any record.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from statera.cli.console import Stop
from statera.cli.demo import backend

_FOLDER = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class Plug:
    """Where a backend is plugged in: its port's MAC and address on the network's bridge."""

    bridge: str
    mac: str
    address: str
    prefix: int
    gateway: str | None
    mtu: int


def space_name(installation: str, number: int) -> str:
    """Return the namespace of a backend."""
    return f"st{installation}-demo-{number}"


def make_space(installation: str, number: int, plug: Plug) -> str:
    """Make a backend's namespace with its link into the bridge; return its name."""
    space = space_name(installation, number)
    link = f"st{installation}d{number}"
    _ip("netns", "add", space)
    _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
    _ip("link", "set", link, "mtu", str(plug.mtu), "master", plug.bridge, "up")
    _ip("-n", space, "link", "set", "lo", "up")
    _ip("-n", space, "link", "set", "eth0", "address", plug.mac, "mtu", str(plug.mtu), "up")
    extra = ("nodad",) if ":" in plug.address else ()
    _ip("-n", space, "address", "add", f"{plug.address}/{plug.prefix}", "dev", "eth0", *extra)
    if plug.gateway:
        _ip("-n", space, "route", "add", "default", "via", plug.gateway)
    return space


def start_backend(space: str, name: str, address: str, port: int) -> int:
    """Start a backend in its namespace; it outlives this process.  Return its pid."""
    inside = (_program(), "netns", "exec", space)
    process = subprocess.Popen(
        [*inside, sys.executable, "-I", backend.__file__, name, address, str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    return process.pid


def remove_spaces(installation: str) -> list[str]:
    """Kill what runs in the demo's namespaces and remove them; return their names."""
    prefix = space_name(installation, 0)[:-1]
    spaces = sorted(path.name for path in _FOLDER.glob(f"{prefix}*"))
    for space in spaces:
        for pid in _pids(space):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _ip("netns", "delete", space)
    for link in Path("/sys/class/net").glob(f"st{installation}d[0-9]*"):
        # the kernel takes a pair away some time after its namespace; a new one needs the name now
        subprocess.run([_program(), "link", "delete", link.name], capture_output=True, check=False)
    return spaces


def _pids(space: str) -> list[int]:
    done = subprocess.run(
        [_program(), "netns", "pids", space], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in done.stdout.split()]


def _program() -> str:
    path = shutil.which("ip")
    if path is None:
        raise Stop("the `ip` command is missing; `statera doctor` says how to get it")
    return path


def _ip(*arguments: str) -> None:
    command: Sequence[str] = [_program(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022)
    if done.returncode != 0:
        raise Stop(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
