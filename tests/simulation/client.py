"""Clients: each creates a load balancer, writes to it, and remembers what was accepted."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from tests.simulation import rows
from tests.simulation.database import SUBNETS
from tests.simulation.house import Answer, House, Lost
from tests.simulation.rows import State
from tests.simulation.wishes import Wish, wish
from tests.simulation.world import Broken

NOUNS = {
    "load_balancer": ("/loadbalancers", "loadbalancer"),
    "listener": ("/listeners", "listener"),
    "pool": ("/pools", "pool"),
    "member": ("/pools/{pool_id}/members", "member"),
    "health_monitor": ("/healthmonitors", "healthmonitor"),
}


class Client:
    """One client; it has one load balancer at a time, and one request under way."""

    def __init__(self, house: House, random: Random, number: int) -> None:
        self.root: str | None = None
        self.state: State | None = None
        self.busy = False
        """A request is under way: what is accepted is not known."""
        self.doomed: set[str] = set()
        self._house = house
        self._world = house.world
        self._random = random
        self._name = f"client-{number}"
        self._made = 0

    async def run(self, wishes: int) -> None:
        """Make so many wishes, with pauses."""
        for _ in range(wishes):
            await asyncio.sleep(self._random.expovariate(self._random.choice((0.5, 4.0, 50.0))))
            if self.state is None:
                await self._create()
            else:
                await self._write()

    def check(self) -> None:
        """Raise `Broken` unless everything accepted is there, and nothing else."""
        if self.busy:
            return
        eye = self._house.storage.eye
        if self.root is not None and self.state is not None:
            seen = rows.read(eye, self.root)
            if seen != self.state:
                raise Broken(f"accepted {self.state}\nbut there is {seen}")
        for key in self.doomed:
            if rows.read(eye, key) is not None:
                raise Broken(f"load balancer {key} was deleted and lives")

    async def look(self) -> None:
        """Ask the API for everything; raise `Broken` unless it shows what was accepted."""
        if self.root is None or self.state is None:
            return
        for kind, (path, noun) in NOUNS.items():
            for key, fields in self.state[kind].items():
                answer = await self._house.call("GET", f"{path.format(**fields)}/{key}")
                if answer.status != 200:
                    raise Broken(f"{kind} {key}: {answer.status} {answer.json}")
                _compare(kind, fields, answer.json[noun])

    async def _create(self) -> None:
        self._made += 1
        name = f"{self._name}-{self._made}"
        body: dict[str, Any] = {"name": name, "vip_subnet_id": SUBNETS[0]}
        parts = self._random.random() < 0.5
        if parts:
            body |= _tree(self._random)
        self.busy = True
        try:
            answer = await self._call("POST", "/loadbalancers", {"loadbalancer": body})
            root = self._named(name)
            if answer is not None and answer.status == 201:
                if root != answer.json["loadbalancer"]["id"]:
                    raise Broken(f"{name} was accepted and is not there")
            elif root is not None and answer is not None and not answer.doubtful:
                raise Broken(f"{name} was refused and is there: {answer}")
            if root is not None:
                self._adopt(root, body)
        finally:
            self.busy = False

    def _adopt(self, root: str, body: dict[str, Any]) -> None:
        self.root, self.state = root, rows.read(self._house.storage.eye, root)
        if self.state is None:
            raise Broken(f"{root} was accepted and is not there")
        for kind, wanted in (("listener", "listeners"), ("pool", "pools"), ("member", "members")):
            there, asked = len(self.state[kind]), len(body.get(wanted, ()))
            if kind != "member" and there != asked:
                raise Broken(f"{root}: {asked} {wanted} were wished, {there} are there")

    async def _write(self) -> None:
        assert self.root is not None
        assert self.state is not None
        wanted = wish(self._random, self.root, self.state)
        self.busy = True
        try:
            answer = await self._call(wanted.method, wanted.path, wanted.body)
            self._conclude(wanted, answer)
        finally:
            self.busy = False

    def _conclude(self, wanted: Wish, answer: Answer | None) -> None:
        """Take the new state for accepted, or the old one, as the answer says."""
        assert self.root is not None
        assert self.state is not None
        seen = rows.read(self._house.storage.eye, self.root)
        made = rows.fresh()
        if answer is not None and answer.status == 201:
            made = next(iter(answer.json.values()))["id"]
        after = wanted.after(self.state, made)
        if after is not None and seen is not None:
            after = rows.resolved(after, seen)
        allowed = [after]
        if answer is None or answer.doubtful or answer.status >= 500:
            allowed = [after, self.state]
        elif answer.status >= 400:
            allowed = [self.state]
        if seen not in allowed:
            raise Broken(f"{wanted} got {answer}: allowed {allowed}\nbut there is {seen}")
        if answer is not None and 400 <= answer.status < 500 and not answer.doubtful:
            raise Broken(f"{wanted} was refused: {answer}")
        self.state = seen
        if seen is None:
            self.doomed.add(self.root)
            self.root = None

    async def _call(self, method: str, path: str, body: Any) -> Answer | None:
        """Return the answer, None if there was none."""
        self._world.note(f"{self._name} {method} {path} {body}", count="writes")
        try:
            answer = await self._house.call(method, path, body)
        except Lost:
            self._world.note(f"{self._name} got no answer", count="lost answers")
            return None
        self._world.note(f"{self._name} got {answer.status}")
        return answer

    def _named(self, name: str) -> str | None:
        found = self._house.storage.eye.execute(
            "SELECT id FROM load_balancer WHERE name = ? AND live = 1", (name,)
        ).fetchone()
        return found[0] if found else None


def _tree(random: Random) -> dict[str, Any]:
    """Return a listener with a pool with members, as parts of a creation."""
    members = [
        {"address": f"10.0.0.{20 + number}", "protocol_port": 80}
        for number in range(random.randrange(3))
    ]
    pool = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
    listener = {"name": "l", "protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p"}}
    return {"listeners": [listener], "pools": [pool]}


def _compare(kind: str, fields: dict[str, Any], shown: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name != "pool_id" and shown.get(name, value) != value:
            raise Broken(f"{kind} {shown['id']} shows {name} = {shown[name]}, not {value}")
