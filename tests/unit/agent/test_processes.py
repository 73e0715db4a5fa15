"""Whose processes are ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest


def test_the_machines_own_namespace_is_never_touched() -> None:
    """Even where a name of ours stands for it: who looks at an engine's file there lives on."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        pytest.skip("needs root: a namespace to die in, should it come to that")
    # In namespaces of its own (pids too): a mistake would end every process of the machine.
    program = (
        "import os, subprocess, sys; from pathlib import Path;"
        "from statera.agent.processes import end_inside;"
        "child = subprocess.Popen(['sleep', '60']);"
        "end_inside({os.stat('/proc/self/ns/net').st_ino}, Path('/nonexistent'));"
        "print('alive' if child.poll() is None else 'ended'); child.kill()"
    )
    command = [unshare, "--pid", "--fork", "--mount-proc", "--net", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout.strip() == "alive", done.stderr
