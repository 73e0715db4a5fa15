"""What must hold after every step, and what must hold in the end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from statera.spec.document import AmphoraSpec, Listener, Member, Pool
from tests.simulation.house import House
from tests.simulation.world import Broken

replace = msgspec.structs.replace


class Oracle:
    """Looks at database and machines without being noticed."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._eye = house.storage.eye
        self._published: dict[tuple[str, int], AmphoraSpec] = {}
        self._listeners: set[tuple[str, bytes]] = set()
        self._pools: set[tuple[str, bytes]] = set()
        self._members: set[tuple[str, bytes]] = set()

    def check(self) -> None:
        """Raise `Broken` unless every invariant holds."""
        self._read_documents()
        self._one_owner()
        self._in_force_is_known()
        self._active_is_in_force()
        self._deleted_is_gone()

    # --- after every step ---------------------------------------------------------------------

    def _read_documents(self) -> None:
        found = self._eye.execute(
            "SELECT id, revision, body FROM document WHERE kind = 'amphora' AND body IS NOT NULL"
        )
        for key, revision, body in found.fetchall():
            if (key, revision) not in self._published:
                spec = msgspec.msgpack.decode(body, type=AmphoraSpec)
                self._published[key, revision] = spec
                self._listeners.update((key, _listener(each)) for each in spec.listeners)
                self._pools.update((key, _pool(each)) for each in spec.pools)
                members = (each for pool in spec.pools for each in pool.members)
                self._members.update((key, _member(each)) for each in members)

    def _one_owner(self) -> None:
        """No address is in two namespaces, whatever machine they are on."""
        owners: dict[str, str] = {}
        for machine in self._house.machines.values():
            for key, space in machine.spaces.items():
                for address in {each for link in space.links.values() for each in link}:
                    other = owners.setdefault(address, key)
                    if other != key:
                        raise Broken(f"{address} is in {other} and in {key} on {machine.name}")

    def _in_force_is_known(self) -> None:
        """What HAProxy follows was published, or is the last good form of what was."""
        for key, spec in self.running():
            if (key, spec.revision) not in self._published:
                raise Broken(f"{key} runs revision {spec.revision}, which nobody published")
            for listener in spec.listeners:
                if (key, _listener(listener)) not in self._listeners:
                    raise Broken(f"{key} runs {listener}, which nobody wished")
            for pool in spec.pools:
                if (key, _pool(pool)) not in self._pools:
                    raise Broken(f"{key} runs {pool}, which nobody wished")
                for member in pool.members:
                    if (key, _member(member)) not in self._members:
                        raise Broken(f"{key} runs {member}, which nobody wished")

    def _active_is_in_force(self) -> None:
        """What shows as in force was once made true by the agent."""
        found = self._eye.execute(
            "SELECT l.id, a.id, a.machine_id, d.epoch, d.revision FROM load_balancer l"
            " JOIN amphora a ON a.load_balancer_id = l.id AND a.status != 'DELETED'"
            " JOIN document d ON d.id = a.id"
            " WHERE l.live = 1 AND l.settled >= l.generation AND l.fault IS NULL"
        )
        applied = {each for machine in self._house.machines.values() for each in machine.applied}
        for root, key, _machine, epoch, revision in found.fetchall():
            if (key, epoch, revision) not in applied:
                raise Broken(f"{root} shows ACTIVE; revision {revision} of {key} never was")
            self._says_it_all(root, self._published[key, revision])

    def _says_it_all(self, root: str, spec: AmphoraSpec) -> None:
        """The document in force names exactly the living objects."""
        members = {each.id for pool in spec.pools for each in pool.members}
        said = {
            "listener": {each.id for each in spec.listeners},
            "pool": {each.id for each in spec.pools},
            "member": members,
        }
        for kind, ids in said.items():
            there = self._eye.execute(
                f"SELECT id FROM {kind} WHERE load_balancer_id = ? AND live = 1", (root,)
            )
            if ids != {each for (each,) in there.fetchall()}:
                raise Broken(f"{root} shows ACTIVE; its {kind}s are not those in force")

    def _deleted_is_gone(self) -> None:
        found = self._eye.execute(
            "SELECT l.id, a.id FROM load_balancer l JOIN amphora a ON a.load_balancer_id = l.id"
            " WHERE l.deleted_at IS NOT NULL"
        ).fetchall()
        for root, key in found:
            for machine in self._house.machines.values():
                if key in machine.spaces:
                    raise Broken(f"{root} is DELETED; {key} is still on {machine.name}")
            devices = (key, f"lb-{root}")
            ports = self._eye.execute(
                "SELECT id FROM network_port WHERE device_id IN (?, ?)", devices
            ).fetchall()
            if ports:
                raise Broken(f"{root} is DELETED; it still has the ports {ports}")

    # --- in the end ---------------------------------------------------------------------------

    def unfinished(self) -> str | None:
        """Return what is not yet as wished, None if everything is."""
        return next(self._unfinished(), None)

    def _unfinished(self) -> Iterator[str]:
        eye = self._eye
        for row in eye.execute(
            "SELECT load_balancer_id, last_error FROM work WHERE due_at IS NOT NULL"
        ):
            yield f"work is due: {row}"
        for table in ("load_balancer", "listener", "pool", "member", "health_monitor"):
            gone = " AND deleted_at IS NULL" if table == "load_balancer" else ""
            for row in eye.execute(
                f"SELECT id, generation, settled, live, fault FROM {table}"
                f" WHERE (live IS NULL OR settled < generation){gone}"
            ):
                yield f"{table} is pending: {row}"
        for row in eye.execute("SELECT id, gateway_id FROM machine WHERE NOT connected"):
            yield f"machine is connected and noted as silent: {row}"
        yield from self._leaks()
        yield from self._idle()

    def _leaks(self) -> Iterator[str]:
        eye = self._eye
        alive = {key for (key,) in eye.execute("SELECT id FROM load_balancer WHERE live = 1")}
        amphorae = {
            row[0]: row
            for row in eye.execute(
                "SELECT id, load_balancer_id, machine_id, port_id, ports FROM amphora"
                " WHERE status != 'DELETED'"
            )
        }
        for row in amphorae.values():
            if row[1] not in alive:
                yield f"amphora without a load balancer: {row}"
        wanted = {row[3] for row in amphorae.values()}
        wanted |= {port for row in amphorae.values() for port in json.loads(row[4]).values()}
        wanted |= {
            port for (port,) in eye.execute("SELECT vip_port_id FROM load_balancer WHERE live = 1")
        }
        there = {port for (port,) in eye.execute("SELECT id FROM network_port")}
        if there != wanted:
            yield f"ports leaked {there - wanted}, missing {wanted - there}"
        for (key,) in eye.execute("SELECT id FROM document WHERE kind = 'amphora' AND NOT retired"):
            if key not in amphorae:
                yield f"document without an amphora: {key}"
        spaces = {key for machine in self._house.machines.values() for key in machine.spaces}
        if spaces != amphorae.keys():
            yield f"namespaces {spaces} instead of {set(amphorae)}"

    def _idle(self) -> Iterator[str]:
        """Yield what does not run as the last document says, refusals aside."""
        running = dict(self.running())
        last = {key: max(r for k, r in self._published if k == key) for key in running}
        for key, revision in last.items():
            if running[key].revision != revision:
                yield f"{key} runs revision {running[key].revision} of {revision}"
        found = self._eye.execute("SELECT id FROM amphora WHERE status != 'DELETED'").fetchall()
        for (key,) in found:
            if key not in running:
                yield f"nothing runs in {key}"

    def running(self) -> Iterator[tuple[str, AmphoraSpec]]:
        """Yield what HAProxy follows, by amphora."""
        for machine in self._house.machines.values():
            for key, space in machine.spaces.items():
                if space.engine is not None:
                    yield key, space.engine


def _listener(one: Listener) -> bytes:
    """Return what of a listener is never mixed from two forms of it."""
    form = replace(one, enabled=True, default_pool_id=None, connection_limit=0)
    return msgspec.msgpack.encode(form)


def _pool(one: Pool) -> bytes:
    return msgspec.msgpack.encode(replace(one, members=(), monitor=None))


def _member(one: Member) -> bytes:
    return msgspec.msgpack.encode(replace(one, enabled=True))
