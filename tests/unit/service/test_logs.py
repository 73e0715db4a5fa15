"""Logs keep their short event names, as text and as JSON, on standard error or in a file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, sys
from pathlib import Path
from statera.service.logs import LogSettings, setup
setup(LogSettings({arguments}), "sample")
logging.getLogger("statera.sample").info("thing.done id=%s", "x1")
logging.getLogger("statera.sample").debug("thing.detail id=%s", "x1")
logging.getLogger("urllib3").info("noise")
assert "eventlet" not in sys.modules
"""


def run(arguments: str) -> str:
    """Log in a process of its own; return what it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ""
    return done.stderr


def test_text() -> None:
    """A line is time, pid, level, logger and the message as it was written; no debug, no noise."""
    pattern = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \d+ INFO statera\.sample thing\.done id=x1\n"
    assert re.fullmatch(pattern, run(""))


def test_debug() -> None:
    """`debug` lets debug messages through."""
    assert "DEBUG statera.sample thing.detail id=x1" in run("debug=True")


def test_json() -> None:
    """With `use_json` each line is an object with the message."""
    lines = [json.loads(line) for line in run("use_json=True").splitlines()]
    assert [line["message"] for line in lines] == ["thing.done id=x1"]


def test_file(tmp_path: Path) -> None:
    """With `log_dir` the process writes its own file and nothing else."""
    assert run(f"log_dir=Path({str(tmp_path)!r})") == ""
    assert "thing.done id=x1" in (tmp_path / "sample.log").read_text()
