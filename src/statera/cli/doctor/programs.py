"""Checks of the programs of the distribution that the data plane is made of."""

from __future__ import annotations

import re
import shutil
import subprocess

from statera.cli.doctor.finding import Finding

HAPROXY_NEEDED = (2, 6)


def output(*command: str) -> str | None:
    """Return what a command printed, None if it failed or is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr if done.returncode == 0 else None


def haproxy() -> Finding:
    """HAProxy is there, and new enough for the runtime commands that the agent uses."""
    path = shutil.which("haproxy")
    if path is None:
        return Finding("haproxy", False, "HAProxy is not installed.", package="haproxy")
    return judge_haproxy(output(path, "-v") or "")


def judge_haproxy(printed: str) -> Finding:
    """Return the finding for what `haproxy -v` printed."""
    match = re.search(r"version (\d+)\.(\d+)\S*", printed)
    if match is None:
        return Finding("haproxy", False, "HAProxy does not say its version.", package="haproxy")
    version = (int(match[1]), int(match[2]))
    text = f"HAProxy {match[0].removeprefix('version ')}"
    if version < HAPROXY_NEEDED:
        return Finding(
            "haproxy",
            False,
            f"{text} is too old: {HAPROXY_NEEDED[0]}.{HAPROXY_NEEDED[1]} or newer is needed.",
            package="haproxy",
        )
    return Finding("haproxy", True, text)


def nftables() -> Finding:
    """Nftables is there."""
    return _program("nft", "nftables", "nftables", "--version")


def keepalived() -> Finding:
    """Keepalived is there."""
    return _program("keepalived", "keepalived", "keepalived", "--version")


def iproute() -> Finding:
    """The `ip` command is there."""
    return _program("ip", "iproute2", "iproute2", "-V")


def _program(program: str, title: str, package: str, *arguments: str) -> Finding:
    path = shutil.which(program)
    if path is None:
        return Finding(program, False, f"{title} ({program}) is not installed.", package=package)
    printed = output(path, *arguments)
    if printed is None:
        return Finding(program, False, f"{path} does not run.", package=package)
    first = printed.strip().splitlines()[0] if printed.strip() else title
    return Finding(program, True, first)
