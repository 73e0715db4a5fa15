"""Documents and reports are read by many threads from the first moment on."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, threading
sys.setswitchinterval(1e-6)
import msgspec
from statera.spec import document, report
kind = getattr({module}, "{name}")
start = threading.Barrier(8)
def read():
    start.wait()
    try:
        msgspec.msgpack.decode(b"\\x80", type=kind)
    except msgspec.ValidationError:
        pass
threads = [threading.Thread(target=read) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
"""


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("document", "AmphoraSpec"),
        ("document", "NetworkSpec"),
        ("report", "AmphoraReport"),
        ("report", "NetworkReport"),
    ],
)
def test_threads_that_read_first_do_not_crash(module: str, name: str) -> None:
    """msgspec does when two of them are the first that meet a type."""
    script = SCRIPT.format(module=module, name=name)
    ended = [subprocess.run([sys.executable, "-c", script], check=False) for _ in range(3)]
    assert [each.returncode for each in ended] == [0, 0, 0]
