"""Checks of the machine itself: privileges, kernel, limits, disk, port, paths.

Kernel features are tried, in a network namespace that ends with the command that tries them:
neither a module list nor a version says what a kernel in a container will allow.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import sqlite3
from pathlib import Path

from statera.cli.doctor.finding import Finding
from statera.cli.doctor.programs import output
from statera.service.state import StateError, check_socket_room

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}
_FILES_WANTED = 4096
_DISK_NEEDED = 200 * 1024 * 1024


def privileges() -> Finding:
    """This process may make namespaces and links."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return judge_capabilities(int(line.split()[1], 16))


def judge_capabilities(mask: int) -> Finding:
    """Return the finding for an effective capability mask."""
    missing = [name for name, bit in _CAPABILITIES.items() if not mask >> bit & 1]
    if not missing:
        return Finding("privileges", True, "may make network namespaces and links")
    return Finding(
        "privileges",
        False,
        f"This process lacks {' and '.join(missing)}: run as root (sudo statera …).  "
        "In a container, those capabilities must be given to it.",
    )


def kernel() -> list[Finding]:
    """Namespaces, veth pairs, bridges and nftables work here."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return [Finding("kernel", False, "unshare is not installed.", package="util-linux")]
    inside = (unshare, "--net", "--")
    if output(*inside, "true") is None:
        return [Finding("netns", False, "The kernel refuses to make a network namespace here.")]
    findings = [Finding("netns", True, "network namespaces can be made")]
    tries = {
        "veth": ("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"),
        "bridge": ("ip", "link", "add", "b0", "type", "bridge"),
        "nftables": ("nft", "add", "table", "inet", "t"),
    }
    for name, (program, *arguments) in tries.items():
        path = shutil.which(program)
        if path is None:
            continue  # its absence is a finding of its own
        works = output(*inside, path, *arguments) is not None
        text = f"the kernel has {name}" if works else f"The kernel has no {name} for us."
        command = None if works or name == "nftables" else f"modprobe {name}"
        findings.append(Finding(f"kernel-{name}", works, text, command=command))
    return findings


def files() -> Finding:
    """Enough files can be open: each proxied connection takes two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= _FILES_WANTED:
        return Finding("files", True, f"{hard} open files allowed", required=False)
    return Finding(
        "files",
        False,
        f"Only {hard} open files are allowed, which is about {hard // 2} connections for each "
        f"load balancer; allow {_FILES_WANTED} or more.",
        required=False,
        command=f"prlimit --nofile={_FILES_WANTED}:{_FILES_WANTED} --pid {os.getppid()}",
    )


def disk(root: Path) -> Finding:
    """The state directory's file system has room."""
    place = root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    megabytes = free // (1024 * 1024)
    if free < _DISK_NEEDED:
        needed = _DISK_NEEDED // (1024 * 1024)
        text = f"Only {megabytes} MB are free below {place}; {needed} MB are needed."
        return Finding("disk", False, text)
    return Finding("disk", True, f"{megabytes} MB free below {place}")


def sockets(root: Path) -> Finding:
    """Unix sockets fit below the state directory."""
    try:
        check_socket_room(root)
    except StateError as error:
        return Finding("socket-paths", False, f"{error}.")
    return Finding("socket-paths", True, "unix socket paths are short enough")


def port(host: str, number: int, ours: bool) -> Finding:
    """Nobody else serves the address of the API; `ours` says that we are running."""
    name = f"{host}:{number}"
    try:
        check_port(host, number)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and ours:
            return Finding("port", True, f"{name} is ours (running)")
        if error.errno == errno.EADDRINUSE:
            text = f"{name} is in use by another program; choose another with --bind."
        else:
            text = f"{name} cannot be bound: {error.strerror}; choose another with --bind."
        return Finding("port", False, text)
    return Finding("port", True, f"{name} is free")


def check_port(host: str, number: int) -> None:
    """Raise `OSError` if the TCP address cannot be bound exclusively."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, number))


def database() -> Finding:
    """The embedded database is new enough (`RETURNING`)."""
    version = sqlite3.sqlite_version
    ok = sqlite3.sqlite_version_info >= (3, 35)
    text = f"SQLite {version}" if ok else f"SQLite {version} is too old: 3.35 or newer is needed."
    return Finding("sqlite", ok, text, package=None if ok else "libsqlite3-0")
