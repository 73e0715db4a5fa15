"""Takes the steps of a plan.

Every step may be taken again after a crash: what it creates outside is named after an id that is
already stored, and it is noted under the fence afterwards.  `checkpoint` is called at each boundary
where a crash must be harmless: `<Kind>.begun`, `<Kind>.called` (done outside, not yet noted) and
`<Kind>.done`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from statera.edges.compute.protocol import Compute
from statera.edges.network.protocol import (
    DEVICE_OWNER,
    AddressInUse,
    Networks,
    Port,
    PortRequest,
    vip_device,
    vip_port,
)
from statera.lb.errors import Bug, Retryable
from statera.plan import steps
from statera.service.wake import DOCUMENTS, Wakes
from statera.store import amphorae, documents, settling
from statera.store.database import Database
from statera.store.work import Claim, fenced

BOUNDARIES = ("begun", "called", "done")
CHECKPOINTS = tuple(f"{kind.__name__}.{each}" for kind in steps.KINDS for each in BOUNDARIES)
"""Every name that `checkpoint` is called with."""

Checkpoint = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Edges:
    """What the controller works with."""

    database: Database
    networks: Networks
    compute: Compute
    wakes: Wakes


class Actor:
    """Takes steps for the load balancer of one claim.

    `take` raises `LeaseLost`, `lb.errors.Retryable` or `lb.errors.Final`.
    """

    def __init__(self, edges: Edges, held: Claim, checkpoint: Checkpoint) -> None:
        self._edges = edges
        self._held = held
        self._checkpoint = checkpoint

    def take(self, step: steps.Step) -> None:
        """Take one step."""
        kind = type(step).__name__
        self._checkpoint(f"{kind}.begun")
        note = self._outside(step)
        self._checkpoint(f"{kind}.called")
        self._edges.database.write(note)
        if isinstance(step, (steps.PublishSpec, steps.RetireAmphora)):
            self._edges.wakes.send(DOCUMENTS)
        self._checkpoint(f"{kind}.done")

    def _outside(self, step: steps.Step) -> Callable[[Connection], None]:
        """Do what a step does outside the database; return what is then written."""
        networks, compute, owner = self._edges.networks, self._edges.compute, self._held
        match step:
            case steps.PlaceAmphora(amphora_id=amphora_id):
                place = compute.place(amphora_id, owner.load_balancer_id)
                return self._fenced(amphorae.place, amphora_id, place.machine_id, place.compute_id)
            case steps.EnsurePort() | steps.EnsureVip():
                return self._plug(step)
            case steps.ReleasePort(amphora_id=amphora_id, subnet_id=subnet, port_id=port_id):
                networks.release_port(port_id, amphora_id)
                return self._fenced(amphorae.plug_subnet, amphora_id, subnet, None)
            case steps.RemoveAmphora(amphora_id=amphora_id):
                networks.release_device(amphora_id)
                compute.release(amphora_id)
                return self._fenced(amphorae.bury, amphora_id)
            case steps.ReleaseVip():
                networks.release_device(vip_device(owner.load_balancer_id))
                return self._fenced(_nothing)
        return self._inside(step)

    def _inside(self, step: steps.Step) -> Callable[[Connection], None]:
        """Return what a step writes that does nothing outside."""
        held = self._held
        match step:
            case steps.AddAmphora(amphora_id=amphora_id, role=role, generation=generation):
                owner = held.load_balancer_id
                return self._fenced(amphorae.add, amphora_id, owner, role, generation)
            case steps.PublishSpec(spec=spec):
                return self._fenced(documents.publish, spec)
            case steps.RetireAmphora(amphora_id=amphora_id):
                return self._fenced(_retire, amphora_id)
            case steps.Settle(applied=applied, faults=faults, serving=serving):
                return lambda connection: settling.settle(
                    connection, held, applied, faults, serving
                )
            case steps.LapseReservation():
                return lambda connection: settling.lapse(connection, held)
            case steps.Bury():
                return lambda connection: settling.bury(connection, held)
        raise Bug(f"nobody takes the step {step}")

    def _plug(self, step: steps.EnsurePort | steps.EnsureVip) -> Callable[[Connection], None]:
        if isinstance(step, steps.EnsureVip):
            return self._plug_vip(step)
        request = PortRequest(
            name=step.name,
            project_id=step.project_id,
            network_id=step.network_id,
            device_id=step.amphora_id,
            device_owner=DEVICE_OWNER,
            fixed_ips=tuple((subnet, None) for subnet in step.address_subnets),
        )
        if step.subnet_id is not None:
            # No member may need it by the time a successor looks: this note finds it even then.
            begun = self._fenced(amphorae.plug_subnet, step.amphora_id, step.subnet_id, "")
            self._edges.database.write(begun)
        port = self._ensured(request)
        if step.subnet_id is not None:
            return self._fenced(amphorae.plug_subnet, step.amphora_id, step.subnet_id, port.id)
        address = port.fixed_ips[0].ip_address if port.fixed_ips else None
        return self._fenced(amphorae.plug_vip_network, step.amphora_id, port.id, address)

    def _plug_vip(self, step: steps.EnsureVip) -> Callable[[Connection], None]:
        held = self._held
        port = self._ensured(
            vip_port(held.load_balancer_id, step.project_id, step.network_id, step.addresses)
        )
        return lambda connection: settling.plug_vip(connection, held, port.id)

    def _ensured(self, request: PortRequest) -> Port:
        try:
            return self._edges.networks.ensure_port(request)
        except AddressInUse as error:
            raise Retryable(str(error)) from error

    def _fenced(self, write: Callable[..., Any], *arguments: Any) -> Callable[[Connection], None]:
        def work(connection: Connection) -> None:
            fenced(connection, self._held)
            write(connection, *arguments)

        return work


def _retire(connection: Connection, amphora_id: str) -> None:
    documents.retire(connection, amphora_id)
    amphorae.doom(connection, amphora_id)


def _nothing(_connection: Connection) -> None:
    """The step is noted by the next one."""
