"""`statera demo` as a stranger runs it: it ends well, twice, and `down` takes everything away."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from statera.cli.demo import traffic
from statera.cli.down import leftovers
from statera.service.state import State
from tests.installation import Installation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")


@pytest.fixture
def here() -> Iterator[Installation]:
    """An installation that nobody has started."""
    with tempfile.TemporaryDirectory(prefix="st") as folder:
        made = Installation(Path(folder))
        try:
            yield made
        finally:
            made.down()


def demo(here: Installation) -> tuple[str, str]:
    """Run the demo; return what it printed and its progress."""
    bind = f"127.0.0.1:{here.port}"
    done = here.statera("demo", "--bind", bind, "--requests", "300", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_demo(here: Installation) -> None:
    """Three backends share the requests, the loss of one costs none, and it can be run again."""
    for _ in range(2):
        printed, progress = demo(here)
        assert "demo-1 100, demo-2 100, demo-3 100" in progress
        assert "demo-1 500, demo-2 500; 0 failed" in progress
        assert re.search(r"first byte \d+\.\d\d s after the API accepted", progress)
        assert '"operating_status": "DEGRADED"' in printed
        assert "total_connections" in printed
    vip = re.search(r"curl http://([\d.]+)/", printed)
    assert vip
    assert traffic.answered(vip[1], 80, timeout=5)
    installation = State(here.directory / "state").installation_id()
    assert leftovers(installation)
    assert here.statera("down").returncode == 0
    assert leftovers(installation) == []
    assert here.statera("down").returncode == 0
