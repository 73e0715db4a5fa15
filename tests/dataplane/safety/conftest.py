"""A whole installation whose database can be taken away from under it and replaced."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.crash.conftest import answers
from tests.crash.test_kills import engines, own_prefix
from tests.installation import (
    Backend,
    Installation,
    eventually,
    installation,
    run,
    some_range,
)
from tests.trees import http_tree

RANGE = some_range()
"""Installations that follow each other here have the same addresses."""


@dataclass
class Serving:
    """An installation with a load balancer over two backends."""

    here: Installation
    network_id: str
    subnet_id: str
    cidr: str
    backends: list[Backend]
    tree: dict[str, Any]

    @property
    def id(self) -> str:
        """Return the id of the load balancer."""
        return str(self.tree["id"])

    @property
    def address(self) -> str:
        """Return its VIP."""
        return str(self.tree["vip_address"])

    @property
    def pool_id(self) -> str:
        """Return the id of its pool."""
        return str(self.tree["pools"][0]["id"])

    def add(self, name: str) -> dict[str, Any]:
        """Create another load balancer over the same backends, and wait until it answers."""
        members = [each.member() for each in self.backends]
        tree = http_tree(self.subnet_id, members, monitored=False, name=name)
        created: dict[str, Any] = self.here.call("POST", "/loadbalancers", tree)["loadbalancer"]
        self.here.settled(created["id"])
        eventually(f"{name} answers", lambda: answers(created["vip_address"]))
        return created

    def data_plane(self) -> tuple[set[int], set[str]]:
        """Return the engines, and the namespaces and links of the installation, by name."""
        prefix = own_prefix(self.here)
        words = run("ip", "netns", "list").split() + run("ip", "-br", "link").split()
        named = {each.partition("@")[0] for each in words if each.startswith(prefix)}
        return engines(self.here), named


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Yield a load balancer that has answered its first request."""
    with installation() as here, contextlib.ExitStack() as stack:
        network, subnet = here.network(RANGE)
        made = Serving(here, network, subnet, RANGE, [], {})
        for name in ("one", "two"):
            made.backends.append(Backend(here, network, name))
            stack.callback(made.backends[-1].remove)
        made.tree = made.add("web")
        yield made


def status(here: Installation) -> dict[str, Any]:
    """Return what `statera status --json` says."""
    said: dict[str, Any] = json.loads(here.statera("status", "--json").stdout)
    return said


def words(here: Installation) -> str:
    """Return what `statera status` says to people."""
    return here.statera("status").stdout


def halt(here: Installation) -> None:
    """End every process of the installation in order; the data plane stays."""
    supervisor = status(here)["supervisor"]["pid"]
    descriptor = os.pidfd_open(supervisor)
    try:
        os.kill(supervisor, signal.SIGTERM)
        assert select.select([descriptor], [], [], 60)[0], "the supervisor does not end"
    finally:
        os.close(descriptor)


def back_up(here: Installation, target: Path) -> None:
    """Copy the database as an operator does it, while everything runs or not."""
    with (
        contextlib.closing(sqlite3.connect(here.directory / "state" / "statera.db")) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)


def replace(here: Installation, database: Path | None) -> None:
    """Put another database (None: an empty one) in the place of a halted installation's."""
    state = here.directory / "state"
    for suffix in ("", "-wal", "-shm"):
        (state / f"statera.db{suffix}").unlink(missing_ok=True)
    if database is not None:
        shutil.copy(database, state / "statera.db")


@pytest.fixture
def another() -> Iterator[Path]:
    """Yield a folder with database and clouds.yaml of another installation, which is gone.

    It had a load balancer of its own, on a network with the same addresses.
    """
    with tempfile.TemporaryDirectory() as folder:
        with installation() as there:
            _network, subnet = there.network(RANGE)
            tree = http_tree(subnet, [], monitored=False, name="theirs")
            created = there.call("POST", "/loadbalancers", tree)["loadbalancer"]
            there.settled(created["id"])
            halt(there)
            back_up(there, Path(folder) / "statera.db")
            shutil.copy(there.directory / "state" / "clouds.yaml", folder)
        yield Path(folder)
