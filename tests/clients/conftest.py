"""One installation for the real clients: no traffic, only the API and its convergence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstackclient import shell

from tests.installation import Installation, installation

Openstack = Callable[..., Any]


@pytest.fixture(scope="package")
def here() -> Iterator[Installation]:
    """Yield a running installation."""
    with installation() as made:
        yield made


@pytest.fixture(scope="package")
def subnet(here: Installation) -> str:
    """Return the id of a subnet for VIPs."""
    return here.network()[1]


@pytest.fixture
def openstack(
    here: Installation, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Openstack:
    """Return a function that runs the real `openstack` command and returns its JSON output.

    It runs in this process, because a start of the command costs more than a second.
    """
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(here.directory / "state" / "clouds.yaml"))
    monkeypatch.setenv("OS_CLOUD", "statera")

    def run(line: str, *, output: bool = True, expect: int = 0) -> Any:
        capsys.readouterr()
        arguments = line.split() + (["-f", "json"] if output else [])
        code = shell.main(arguments)
        printed = capsys.readouterr()
        assert code == expect, f"openstack {line}: {code}\n{printed.out}\n{printed.err}"
        return json.loads(printed.out) if output and not expect else printed.out + printed.err

    return run
