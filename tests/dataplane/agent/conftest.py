"""An installation per test; they need root, and say so instead of failing."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.dataplane.agent.installation import Installation


@pytest.fixture
def bare() -> Iterator[Installation]:
    """An installation of which nothing runs yet."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes network namespaces")
    installation = Installation()
    try:
        yield installation
    finally:
        if installation.log.exists():
            print(installation.log.read_text())  # shown when the test fails
        installation.close()


@pytest.fixture
def running(bare: Installation) -> Installation:
    """An installation with gateway, agent and its network in force."""
    bare.start()
    return bare
