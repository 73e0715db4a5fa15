"""Documents to render, and the binary that judges the result."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from statera.render.options import Options
from statera.spec.document import AmphoraSpec, Listener, Member, Pool

_HARMLESS = ("server state file", "missing timeouts")
"""There is no state file here; and an endless time-out is what the user asked for."""
Judge = Callable[[str], None]


@pytest.fixture
def options() -> Options:
    """Options as on a small machine."""
    return Options(
        stats_socket="/run/statera/stats.sock",
        state_file="/dev/null",
        chroot="/var/empty",
        max_connections=7000,
        threads=2,
    )


@pytest.fixture
def spec() -> AmphoraSpec:
    """A document with one HTTP listener, and one pool with two members."""
    return AmphoraSpec(
        amphora_id="amphora",
        load_balancer_id="lb",
        project_id="project",
        epoch=1,
        revision=1,
        generation=1,
        vips=("10.0.0.5",),
        listeners=(Listener(id="listener", protocol="HTTP", port=80, default_pool_id="pool"),),
        pools=(
            Pool(
                id="pool",
                protocol="HTTP",
                algorithm="ROUND_ROBIN",
                members=(
                    Member(id="m1", address="10.1.0.1", port=80),
                    Member(id="m2", address="10.1.0.2", port=80),
                ),
            ),
        ),
        cookie_key="key",
    )


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Return what passes a configuration to `haproxy -c`; any complaint fails the test."""
    binary = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not Path(binary).exists():
        pytest.skip("haproxy is not installed")

    def judge(text: str) -> None:
        path = tmp_path / "haproxy.cfg"
        path.write_text(text)
        result = subprocess.run(
            [binary, "-c", "-f", str(path)], capture_output=True, text=True, check=False
        )
        complaints = [
            line
            for line in result.stderr.splitlines()
            if line.startswith(("[ALERT]", "[WARNING]"))
            and not any(harmless in line for harmless in _HARMLESS)
        ]
        assert (result.returncode, complaints) == (0, []), text

    return judge
