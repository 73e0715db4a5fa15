"""An API process killed -9 between reservation and confirmation leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from statera.cloud.network.tables import port
from statera.store import purging
from statera.store.tables import objects
from statera.store.tables.work import work
from tests.installation import ROOT, eventually, free_port
from tests.services.house import HEADERS, House, house


class Mortal:
    """An API process below a directory, and the rest of its installation."""

    def __init__(self, here: House, directory: Path) -> None:
        self.here = here
        self.fate = directory / "die-at"
        """A file with the name of the point at which to die."""
        database = here.database.engine.url.render_as_string(hide_password=False)
        port = free_port()
        self._command = [sys.executable, "-m", "tests.services.mortal", database]
        self._command += [str(directory), str(port)]
        self._url = f"http://127.0.0.1:{port}/v2.0/lbaas"
        self.process: subprocess.Popen[bytes] | None = None

    def revive(self) -> None:
        """Wait until it serves; like a supervisor, start it unless it runs."""

        def serves() -> bool:
            if self.process is None or self.process.poll() is not None:
                self.process = subprocess.Popen(self._command, cwd=ROOT)
            return httpx.get(f"{self._url}/pools", headers=HEADERS, timeout=5).is_success

        eventually("the API serves", serves, 60)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def post(self, values: dict[str, Any]) -> httpx.Response:
        """Ask for a load balancer."""
        body = {"loadbalancer": values}
        url = f"{self._url}/loadbalancers"
        return httpx.post(url, json=body, headers=HEADERS, timeout=20)

    def bindings(self) -> list[tuple[str, str, str]]:
        """Return the ports that there are, each with what uses it."""
        return [(row.id, row.device_id, row.device_owner) for row in self.here.rows(port)]


@pytest.fixture(scope="module")
def mortal(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    """One for all tests: it is started again after each death."""
    directory = tmp_path_factory.mktemp("mortal")
    with house(database_kind, directory) as here:
        made = Mortal(here, directory)
        try:
            yield made
        finally:
            made.stop()


@pytest.mark.parametrize("point", ["reserved", "plugged"])
@pytest.mark.parametrize("own", [True, False], ids=["own-port", "port-of-the-user"])
def test_a_killed_creation_leaves_nothing(mortal: Mortal, point: str, own: bool) -> None:
    """After the grace time there is no port, no row, no work; the same can be asked for again."""
    here, table = mortal.here, objects.load_balancer
    wanted: dict[str, Any] = {"vip_subnet_id": here.subnet_id, "vip_address": "10.1.7.7"}
    if not own:
        given = here.plug("ports", "port", network_id=here.network_id)
        wanted = {"vip_port_id": given["id"]}
    listener = {"protocol": "TCP", "protocol_port": 80, "name": "inner"}
    before = mortal.bindings()
    mortal.fate.write_text(point)
    mortal.revive()
    with pytest.raises(httpx.TransportError):
        mortal.post({**wanted, "listeners": [listener]})
    mortal.fate.write_text("never")
    (reserved,) = here.rows(table, table.c.reserved_until > 0)
    assert reserved.live is None
    assert here.call("GET", f"/loadbalancers/{reserved.id}") == 404
    here.rig.deleted(reserved.id)
    assert mortal.bindings() == before
    here.database.write(lambda c: purging.load_balancers(c, 0))
    for each in (table, work, *objects.CHILDREN):
        assert here.rows(each) == []
    mortal.revive()
    made = mortal.post(wanted)
    assert made.status_code == 201, made.text
    root = made.json()["loadbalancer"]["id"]
    here.rig.settled(root)
    here.delete(f"/loadbalancers/{root}")
    here.gone(root)
    here.database.write(lambda c: purging.load_balancers(c, 0))
