"""What the commands say: help, usage, status, and refusals in words."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

import statera
from statera.cli.console import NOT_RUNNING, USAGE, Stop
from statera.cli.context import ServerSettings, load_context, url_host
from statera.cli.main import main, split_address
from statera.cli.parser import build
from statera.cli.status import describe, span
from statera.cli.up import command, tail
from statera.service.logs import LogSettings
from statera.service.state import State

COMMANDS = ("up", "down", "status", "doctor", "openrc", "demo", "db")


def test_help_is_a_start(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names every command, the exit codes, the first steps, and not what is internal."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    for word in (*COMMANDS, "exit codes", "first steps", "STATERA_STATE_DIR"):
        assert word in printed
    assert "run " not in [line.strip()[:4] for line in printed.splitlines()]
    assert all(len(line) <= 100 for line in printed.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command explains itself in sentences and knows the state directory."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "--state-dir DIR" in printed
    assert printed.count(".") > 2
    assert all(len(line) <= 100 for line in printed.splitlines())


def test_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a command there is help, and the exit code of wrong usage."""
    assert main([]) == USAGE
    assert "first steps" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` is the package's."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"statera {statera.__version__}\n"


def test_unknown_command() -> None:
    """A command that is none is wrong usage."""
    with pytest.raises(SystemExit) as ended:
        build().parse_args(["upp"])
    assert ended.value.code == USAGE


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("127.0.0.1:9876", ("127.0.0.1", "9876")),
        ("[::1]:80", ("::1", "80")),
        (":9000", ("127.0.0.1", "9000")),
        ("0.0.0.0:1", ("0.0.0.0", "1")),
    ],
)
def test_addresses(text: str, wanted: tuple[str, str]) -> None:
    """Addresses are read as people write them."""
    assert split_address(text) == wanted


@pytest.mark.parametrize("text", ["9876", "host", "host:", "host:http", ""])
def test_bad_addresses(text: str) -> None:
    """What is no address is wrong usage."""
    with pytest.raises(Stop) as caught:
        split_address(text)
    assert caught.value.code == USAGE


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9876"),
        ("0.0.0.0", "http://127.0.0.1:9876"),
        ("::", "http://[::1]:9876"),
        ("fd00::1", "http://[fd00::1]:9876"),
        ("lb.example", "http://lb.example:9876"),
    ],
)
def test_urls(host: str, url: str) -> None:
    """The URL for clients here is one that they can connect to."""
    assert ServerSettings(bind_host=host).url == url
    assert url_host(host) in url


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (15000, "4 h 10 min"),
        (3 * 86400 + 7300, "3 d 2 h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    """Time spans have at most two units."""
    assert span(seconds) == text


RUNNING: dict[str, Any] = {
    "state_dir": "/s",
    "installation": "ab12",
    "api": "http://127.0.0.1:9876",
    "ready": True,
    "supervisor": {"pid": 7, "uptime": 61.0},
    "processes": [
        {
            "name": "api",
            "pid": 8,
            "state": "ready",
            "restarts": 2,
            "uptime": 60.5,
            "last_exit": "signal SIGKILL",
        },
        {
            "name": "agent",
            "pid": None,
            "state": "waiting",
            "restarts": 3,
            "uptime": 0.0,
            "last_exit": "code 1",
        },
    ],
    "machines": [{"id": "m1", "host": "here", "connected": True, "unknown": 1, "ahead": 2}],
    "refused": [{"subject": "uid 7", "kind": "machine", "count": 3, "last": "m1"}],
    "faults": {"b1": "amphora a1 has a newer document: repair is needed"},
    "load_balancers": {"ERROR": 1, "ACTIVE": 2},
}


def test_status_text() -> None:
    """The status shows pids, uptimes, restarts, machines and load balancers."""
    text = describe(RUNNING)
    assert "api    8    ready    1 min   2         signal SIGKILL" in text
    assert "agent  -    waiting  0 s     3         code 1" in text
    assert "here (m1): connected" in text
    assert "balancers  2 ACTIVE, 1 ERROR" in text
    assert "it holds 1 document unknown to this database and serves on" in text
    assert "it holds 2 documents newer than this database" in text
    assert "uid 7: claimed to be a machine that it is not, 3 times, last m1" in text
    assert "b1: amphora a1 has a newer document: repair is needed" in text


def test_status_text_of_nothing() -> None:
    """Not running: the status says how to start."""
    nothing = {**RUNNING, "supervisor": None, "processes": []}
    assert "`statera up` starts" in describe(nothing)
    assert "here (m1): silent" in describe(nothing)
    assert NOT_RUNNING not in (0, 1)


def test_settings_reach_other_processes_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was chosen on the command line reaches the processes, but not by their arguments."""
    chosen = {"database.connection": "postgresql://u:hunter2@h/d", "DEFAULT.debug": "true"}
    context = load_context(tmp_path, chosen)
    assert "hunter2" not in " ".join(command(context, "api"))
    for name, value in context.environment().items():
        monkeypatch.setenv(name, value)
    there = load_context(tmp_path, {})
    assert there.database_url == chosen["database.connection"]
    assert there.get(LogSettings).debug


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory away")
@pytest.mark.parametrize("name", ["status", "down", "openrc", "doctor", "up"])
def test_other_users_are_told(name: str) -> None:
    """Who may not read the state directory hears that, instead of that nothing runs."""
    with tempfile.TemporaryDirectory(prefix="st") as folder:
        State(Path(folder)).prepare()
        State(Path(folder)).installation_id()
        os.chown(folder, 65534, 65534)
        dropped = "-dac_override,-dac_read_search"  # what lets root look into it all the same
        statera_there = [sys.executable, "-m", "statera.cli.main", name, "--state-dir", folder]
        done = subprocess.run(
            ["setpriv", "--bounding-set", dropped, *statera_there],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1, done.stdout
    assert "Permission denied" in done.stderr
    assert "sudo statera" in done.stderr
    assert "Traceback" not in done.stderr


def test_tail(tmp_path: Path) -> None:
    """The last lines of a log are those written since it was looked at."""
    path = tmp_path / "x.log"
    path.write_text("old\n")
    begin = path.stat().st_size
    with path.open("a") as file:
        file.write("".join(f"{number}\n" for number in range(30)))
    assert tail(path, begin, 3) == ["27", "28", "29"]
    assert tail(path, begin)[0] == "15"
    assert tail(path, begin, 100)[0] == "0"


def test_command_is_light() -> None:
    """Asking for help loads neither a database driver nor a web server."""
    program = (
        "import sys\nfrom statera.cli.main import build\nbuild()\n"
        "heavy = {'sqlalchemy', 'granian', 'falcon', 'websockets', 'eventlet'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
