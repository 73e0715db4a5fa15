"""What every suite has in common."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# How long one example takes depends on the machine, so it proves nothing: no deadlines.
settings.register_profile("statera", deadline=None)
settings.load_profile("statera")

KINDS = os.environ.get("STATERA_TEST_DATABASES", "sqlite").split(",")


@pytest.fixture(params=KINDS, scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    """Return which database to run on; `STATERA_TEST_DATABASES` names those of a run."""
    chosen: str = request.param
    return chosen
