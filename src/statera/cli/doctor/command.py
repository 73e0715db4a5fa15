"""Runs the checks, prints them, and with `--fix` runs the commands that mend what is missing."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from statera.cli.console import DONE, FAILED
from statera.cli.doctor import machine, programs
from statera.cli.doctor.finding import Finding
from statera.service.state import State

Fixer = Callable[[str], int]


def examine(state: State, host: str, port: int) -> list[Finding]:
    """Return what every check found."""
    running = state.holder("up") is not None
    return [
        machine.privileges(),
        programs.haproxy(),
        programs.nftables(),
        programs.keepalived(),
        programs.iproute(),
        *machine.kernel(),
        machine.files(),
        machine.disk(state.root),
        machine.sockets(state.root),
        machine.port(host, port, running),
        machine.database(),
    ]


def essentials() -> list[Finding]:
    """Return what the quick checks found that `statera up` needs before it starts."""
    return [machine.privileges(), programs.haproxy(), programs.nftables(), programs.iproute()]


def remedies(findings: list[Finding]) -> list[str]:
    """Return the commands that mend what is not right, packages together in one."""
    broken = [finding for finding in findings if not finding.ok]
    packages = sorted({finding.package for finding in broken if finding.package})
    commands = []
    if packages:
        install = shlex.join(["apt-get", "install", "-y", "--no-install-recommends", *packages])
        commands.append(f"apt-get update && {install}")
    return commands + [finding.command for finding in broken if finding.command]


def report(findings: list[Finding]) -> str:
    """Return the findings as text for people."""
    lines = []
    for finding in findings:
        mark = "ok     " if finding.ok else "MISSING" if finding.required else "warning"
        lines.append(f"{mark}  {finding.name:<16} {finding.text}")
    commands = remedies(findings)
    if commands:
        lines += ["", "This mends it (`statera doctor --fix` runs it):"]
        lines += [f"    {command}" for command in commands]
    elif healthy(findings):
        lines += ["", "Nothing is missing: `statera up` can start."]
    return "\n".join(lines)


def healthy(findings: list[Finding]) -> bool:
    """Return whether everything required is there."""
    return all(finding.ok for finding in findings if finding.required)


def run(
    root: Path, address: tuple[str, int], *, fix: bool, as_json: bool, fixer: Fixer | None = None
) -> int:
    """Print what the machine lacks; mend it first if `fix`.  Return the exit code."""
    state = State(root)
    findings = examine(state, *address)
    if fix:
        for command in remedies(findings):
            if not as_json:
                print(f"running: {command}", flush=True)
            (fixer or _shell)(command)
        findings = examine(state, *address)
    if as_json:
        record = {
            "healthy": healthy(findings),
            "findings": [finding.record() for finding in findings],
            "commands": remedies(findings),
        }
        print(json.dumps(record, indent=2))
    else:
        print(report(findings))
    return DONE if healthy(findings) else FAILED


def _shell(command: str) -> int:
    return subprocess.run(["/bin/sh", "-c", command], check=False, umask=0o022).returncode
