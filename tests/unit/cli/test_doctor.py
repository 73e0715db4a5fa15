"""The doctor says what is missing in words, and the command that mends it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from statera.cli.doctor import command, machine, programs
from statera.cli.doctor.finding import Finding
from statera.service.state import State
from tests.installation import free_port

GOOD = Finding("a", True, "a is fine")
NO_HAPROXY = Finding("haproxy", False, "HAProxy is not installed.", package="haproxy")
NO_NFT = Finding("nft", False, "nftables is not installed.", package="nftables")
NO_BRIDGE = Finding("kernel-bridge", False, "no bridge", command="modprobe bridge")
FEW_FILES = Finding("files", False, "few files", required=False, command="prlimit x")


@pytest.mark.parametrize(
    ("printed", "ok", "words"),
    [
        ("HAProxy version 2.6.12-1+deb12u4 2026/01/01 - https://haproxy.org/", True, "2.6.12"),
        ("HAProxy version 3.0.1 2024/06/10", True, "3.0.1"),
        ("HA-Proxy version 2.10.0 x", True, "2.10.0"),
        ("HA-Proxy version 2.2.9-2 2020", False, "too old: 2.6 or newer"),
        ("HA-Proxy version 1.8.4", False, "too old"),
        ("", False, "does not say its version"),
    ],
)
def test_haproxy_version(printed: str, ok: bool, words: str) -> None:
    """2.6 and newer will do, numbers compared as numbers."""
    finding = programs.judge_haproxy(printed)
    assert finding.ok is ok
    assert words in finding.text


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (0x1FFFEFFFFFF, None),
        (0, "CAP_NET_ADMIN and CAP_SYS_ADMIN"),
        (1 << 12, "lacks CAP_SYS_ADMIN:"),
        (1 << 12 | 1 << 21, None),
    ],
)
def test_capabilities(mask: int, words: str | None) -> None:
    """Both capabilities are needed, and the missing ones are named."""
    finding = machine.judge_capabilities(mask)
    assert finding.ok is (words is None)
    assert words is None or words in finding.text


@pytest.mark.parametrize(
    ("findings", "commands", "healthy"),
    [
        ([GOOD], [], True),
        (
            [NO_HAPROXY, NO_NFT, GOOD],
            ["apt-get update && apt-get install -y --no-install-recommends haproxy nftables"],
            False,
        ),
        ([NO_BRIDGE], ["modprobe bridge"], False),
        ([FEW_FILES, GOOD], ["prlimit x"], True),
    ],
)
def test_remedies(findings: list[Finding], commands: list[str], healthy: bool) -> None:
    """Packages are installed by one command; a warning makes nobody ill."""
    assert command.remedies(findings) == commands
    assert command.healthy(findings) is healthy
    text = command.report(findings)
    for line in [finding.text for finding in findings] + commands:
        assert line in text


def test_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is in no folder is said to be missing, with its package."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert programs.haproxy() == NO_HAPROXY
    for check, package in (
        (programs.nftables, "nftables"),
        (programs.keepalived, "keepalived"),
        (programs.iproute, "iproute2"),
    ):
        finding = check()
        assert (finding.ok, finding.package) == (False, package)
        assert "not installed" in finding.text


def test_port() -> None:
    """A port that somebody listens on is in use, unless it is our own."""
    number = free_port()
    assert machine.port("127.0.0.1", number, ours=False).ok
    with socket.create_server(("127.0.0.1", number)):
        finding = machine.port("127.0.0.1", number, ours=False)
        assert not finding.ok
        assert f"127.0.0.1:{number} is in use" in finding.text
        assert machine.port("127.0.0.1", number, ours=True).ok
    assert "cannot be bound" in machine.port("192.0.2.1", number, ours=False).text


def test_shared_port_counts_as_used() -> None:
    """A listener that would share its port (SO_REUSEPORT) is seen too."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not machine.port("127.0.0.1", listener.getsockname()[1], ours=False).ok


def test_socket_paths_and_disk(tmp_path: Path) -> None:
    """A long state directory is a fault; the disk of a folder to come is its parent's."""
    assert not machine.sockets(tmp_path / ("x" * 100)).ok
    assert machine.sockets(Path("/var/lib/statera")).ok
    assert str(tmp_path) in machine.disk(tmp_path / "a" / "b").text


@pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")
def test_kernel() -> None:
    """On a machine that can run the data plane, everything tried works and nothing is left."""
    before = sorted(path.name for path in Path("/sys/class/net").iterdir())
    assert {finding.name for finding in machine.kernel() if finding.ok} >= {"netns", "kernel-veth"}
    assert {"v0", "b0"}.isdisjoint(before)


def test_fix_runs_the_commands_and_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--fix` runs what would mend it, then reports what is so afterwards."""
    ran: list[str] = []

    def examine(*_: object) -> list[Finding]:
        return [GOOD] if ran else [NO_HAPROXY]

    def fixer(line: str) -> int:
        ran.append(line)
        return 0

    monkeypatch.setattr(command, "examine", examine)
    code = command.run(tmp_path, ("127.0.0.1", 1), fix=True, as_json=True, fixer=fixer)
    assert code == 0
    assert ran == command.remedies([NO_HAPROXY])
    record = json.loads(capsys.readouterr().out)
    assert record["healthy"] is True
    assert [finding["name"] for finding in record["findings"]] == ["a"]


def test_missing_things_are_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Something required is missing: exit code 1, and the text says what and how."""
    monkeypatch.setattr(command, "examine", lambda *_: [NO_HAPROXY])
    assert command.run(tmp_path, ("127.0.0.1", 1), fix=False, as_json=False) == 1
    printed = capsys.readouterr().out
    assert "MISSING  haproxy" in printed
    assert "apt-get install" in printed


def test_examine_here(tmp_path: Path) -> None:
    """Every check runs on this machine and says something."""
    findings = command.examine(State(tmp_path), "127.0.0.1", free_port())
    assert len({finding.name for finding in findings}) == len(findings) >= 11
    assert all(finding.text for finding in findings)
