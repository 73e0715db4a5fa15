"""Random writes against a small model of the API: what is accepted, what is refused, what is shown.

Each write names an object that lives, is doomed, is gone, or never was.  At random moments
everything is brought into force, as the controller would.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from statera.api.settings import ApiSettings
from statera.store.tables.objects import load_balancer
from tests.api.harness import Api, running_api

NOBODY = "00000000-0000-4000-8000-000000000000"
KINDS = ("listener", "pool", "member", "monitor")
PLURALS = {
    "listener": "/listeners",
    "pool": "/pools",
    "member": "/pools/{pool}/members",
    "monitor": "/healthmonitors",
}
NOUNS = {"monitor": "healthmonitor"}


@dataclass
class Thing:
    """An object as the model has it; `state` is `living`, `doomed` or `gone`."""

    kind: str
    id: str
    key: object
    """What no two living ones of a parent share: a port, an address."""
    pool: str | None = None
    state: str = "living"
    born: int = 0
    generation: int = 0
    name: str = ""
    settled: int = 0

    @property
    def status(self) -> str:
        """Return the status that the API must show."""
        if self.state == "doomed":
            return "PENDING_DELETE"
        if self.settled < self.born:
            return "PENDING_CREATE"
        return "PENDING_UPDATE" if self.settled < self.generation else "ACTIVE"

    @property
    def path(self) -> str:
        """Return where it is shown."""
        return f"{PLURALS[self.kind].format(pool=self.pool)}/{self.id}"


class Model:
    """One load balancer, the real API of it and what the model makes of each write."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.root = api.load_balancer()["id"]
        self.things: list[Thing] = []
        self.generation = self._generation()
        self.settled = 0
        self.born = self.generation

    def step(self, verb: str, kind: str, which: int, value: int) -> None:
        """Do one write, or settle; hold what comes of it against the model."""
        if verb == "settle":
            self.settle()
            return
        before = self.api.snapshot()
        makers: dict[str, Callable[[str, int, int], int]] = {
            "create": self._create,
            "update": self._update,
            "delete": self._delete,
        }
        status = makers[verb](kind, which, value)
        if status >= 400:
            assert self.api.snapshot() == before
        else:
            self.generation += 1
        assert self._generation() == self.generation

    def settle(self) -> None:
        """Bring everything into force."""
        self.api.settle()
        self.settled = self.generation
        for thing in self.things:
            thing.settled = thing.generation
            if thing.state == "doomed":
                thing.state = "gone"

    def check(self) -> None:
        """Hold everything that the API shows against the model."""
        shown = self.api.get(f"/loadbalancers/{self.root}")["loadbalancer"]
        expected = "ACTIVE" if self.settled == self.generation else "PENDING_UPDATE"
        if self.settled < self.born:
            expected = "PENDING_CREATE"
        assert shown["provisioning_status"] == expected
        for thing in self.things:
            result = self.api.call("GET", thing.path)
            if thing.state == "gone":
                assert result.status_code == 404
                continue
            (body,) = result.json.values()
            assert body["name"] == thing.name
            assert body["provisioning_status"] == thing.status
        lists = {"listeners": "listener", "pools": "pool"}
        for plural, kind in lists.items():
            ids = {each["id"] for each in self.api.get(f"/{plural}")[plural]}
            assert ids == {t.id for t in self.things if t.kind == kind and t.state != "gone"}

    # --- writes -------------------------------------------------------------------------------

    def _create(self, kind: str, which: int, value: int) -> int:
        pool = self._pick("pool", which) if kind in ("member", "monitor") else None
        key = self._key(kind, value)
        taken = any(
            t.kind == kind and t.state == "living" and t.key == key
            and (pool is None or t.pool == pool.id)
            for t in self.things
        )  # fmt: skip
        expected = 201
        if pool is not None and pool.state != "living":
            expected = 404 if pool.state == "gone" else 409
        elif taken:
            expected = 409
        where = PLURALS[kind].format(pool=pool.id if pool else "")
        noun = NOUNS.get(kind, kind)
        body = self._body(kind, key, pool) | {"name": f"made {value}"}
        result = self.api.call("POST", where, {noun: body})
        assert result.status_code == expected, result.text
        if expected == 201:
            made = Thing(kind, result.json[noun]["id"], key, pool.id if pool else None)
            made.name, made.born = f"made {value}", self.generation + 1
            self.things.append(made)
            self._stamp(made)
        return result.status_code

    def _update(self, kind: str, which: int, value: int) -> int:
        thing = self._pick(kind, which)
        expected = {"living": 200, "doomed": 409, "gone": 404}[thing.state]
        noun = NOUNS.get(kind, kind)
        result = self.api.call("PUT", thing.path, {noun: {"name": f"changed {value}"}})
        assert result.status_code == expected, result.text
        if expected == 200:
            thing.name = f"changed {value}"
            self._stamp(thing)
        return result.status_code

    def _delete(self, kind: str, which: int, _value: int) -> int:
        thing = self._pick(kind, which)
        expected = {"living": 204, "doomed": 409, "gone": 404}[thing.state]
        result = self.api.call("DELETE", thing.path)
        assert result.status_code == expected, result.text
        if expected == 204:
            self._stamp(thing)
            for each in [thing, *self._children(thing)]:
                each.state, each.generation = "doomed", self.generation + 1
        return result.status_code

    def _children(self, thing: Thing) -> list[Thing]:
        if thing.kind != "pool":
            return []
        return [t for t in self.things if t.pool == thing.id and t.state == "living"]

    def _stamp(self, thing: Thing) -> None:
        """Let an object, and the pool that it is of, wait for the wish."""
        thing.generation = self.generation + 1
        for each in self.things:
            if each.id == thing.pool:
                each.generation = self.generation + 1

    def _pick(self, kind: str, which: int) -> Thing:
        """Return some object of a kind, or one that never was."""
        found = [thing for thing in self.things if thing.kind == kind]
        if found and which % 5:
            return found[which % len(found)]
        pools = [
            thing.id for thing in self.things if thing.kind == "pool" and thing.state != "gone"
        ]
        home = pools[0] if kind == "member" and pools else NOBODY
        return Thing(kind, NOBODY, None, home, "gone")

    def _body(self, kind: str, key: object, pool: Thing | None) -> dict[str, Any]:
        if kind == "listener":
            return {"loadbalancer_id": self.root, "protocol": "HTTP", "protocol_port": key}
        if kind == "pool":
            values = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
            return {"loadbalancer_id": self.root, **values}
        if kind == "member":
            return {"address": key, "protocol_port": 80}
        values = {"type": "HTTP", "delay": "5", "timeout": "3", "max_retries": "2"}
        return {"pool_id": pool.id if pool else NOBODY, **values}

    def _key(self, kind: str, value: int) -> object:
        if kind == "listener":
            return 80 + value
        if kind == "member":
            return f"10.9.0.{value + 1}"
        return None if kind == "monitor" else object()

    def _generation(self) -> int:
        wanted = sa.select(load_balancer.c.generation).where(load_balancer.c.id == self.root)
        with self.api.database.engine.connect() as connection:
            number: int = connection.execute(wanted).scalar_one()
            return number


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("create", "create", "create", "update", "delete", "delete", "settle")),
        st.sampled_from(KINDS),
        st.integers(0, 20),
        st.integers(0, 2),
    ),
    min_size=8,
    max_size=30,
)


@settings(max_examples=40)
@given(steps=STEPS)
def test_random_writes_follow_the_model(
    database_kind: str, steps: list[tuple[str, str, int, int]]
) -> None:
    """Statuses, generations, conflicts and missing objects are those of the model."""
    with (
        tempfile.TemporaryDirectory() as directory,
        running_api(database_kind, Path(directory), ApiSettings()) as api,
    ):
        model = Model(api)
        for each in steps:
            model.step(*each)
        model.check()
        model.settle()
        model.check()
