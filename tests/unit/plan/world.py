"""A world of pure data in which plans are carried out, to see where they lead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import replace as changed

import msgspec

from statera.plan import steps
from statera.plan.desired import Desired
from statera.plan.observation import (
    ALLOCATED,
    PENDING_CREATE,
    PENDING_DELETE,
    Amphora,
    Observation,
    Plug,
    Published,
    Range,
    Reported,
    Segment,
)
from statera.plan.planning import plan
from statera.plan.settlement import Pending, by_object, outcome
from statera.spec.abilities import ALL
from tests.unit.plan.rows import FAR_NETWORK, FAR_SUBNET, NETWORK, SUBNET, fresh_id

SEGMENTS = {
    NETWORK: Segment(NETWORK, 1450, (Range(SUBNET, "10.1.0.0/24", "10.1.0.1"),)),
    FAR_NETWORK: Segment(
        FAR_NETWORK,
        1500,
        (Range(FAR_SUBNET, "10.9.0.0/16", "10.9.0.1", (("10.20.0.0/16", "10.9.0.2"),)),),
    ),
}
VIP_PORT = Plug("port-vip", NETWORK, "02:00:00:00:00:01")


class Crash(Exception):
    """The worker died here."""


@dataclass
class World:
    """Rows, ports, amphorae and one agent; `noted` is called after what is done outside."""

    desired: Desired
    reports: bool = True
    abilities: frozenset[str] = ALL
    amphorae: dict[str, Amphora] = field(default_factory=dict)
    ports: dict[tuple[str, str], Plug] = field(default_factory=dict)
    """(device, name) -> port, as the network service keeps them."""
    vip_port: Plug | None = VIP_PORT
    vip_released: bool = False
    buried: bool = False
    revisions: int = 0

    def observation(self) -> Observation:
        """Return what is known."""
        return Observation(
            fresh_id=fresh_id(),
            amphorae=tuple(self.amphorae.values()),
            plugs={plug.port_id: plug for plug in (*self.ports.values(), self.vip_port) if plug},
            segments=SEGMENTS,
            homes={FAR_SUBNET: FAR_NETWORK},
            reports=self.reports,
        )

    def plan(self) -> steps.Plan:
        """Return the plan for the world as it is."""
        return plan(self.desired, self.observation(), now=1000.0)

    def take(self, step: steps.Step, noted: Callable[[], None] = lambda: None) -> None:
        """Carry out one step; `noted` stands between the call outside and the note."""
        match step:
            case steps.AddAmphora(amphora_id=key, role=role, generation=generation):
                noted()
                self.amphorae[key] = Amphora(
                    key, role, PENDING_CREATE, born=generation, connected=True,
                    abilities=self.abilities,
                )  # fmt: skip
            case steps.PlaceAmphora(amphora_id=key):
                noted()
                self.note(key, machine_id="machine")
            case steps.EnsurePort():
                self.plug(step, noted)
            case steps.ReleasePort(amphora_id=key, subnet_id=subnet, port_id=port_id):
                self.unplug(lambda _device, plug: plug.port_id == port_id)
                noted()
                left = {k: v for k, v in self.amphorae[key].ports.items() if k != subnet}
                self.note(key, ports=left)
            case steps.RemoveAmphora(amphora_id=key):
                self.unplug(lambda device, _plug: device == key)
                noted()
                del self.amphorae[key]
            case steps.EnsureVip(network_id=network_id, addresses=addresses):
                port_id = self.desired.load_balancer.vip_port_id or ""
                self.vip_port = Plug(port_id, network_id, "02:00:00:00:00:01", addresses)
                noted()
            case steps.ReleaseVip():
                self.vip_released = True
                noted()
            case _:
                noted()
                self.write(step)

    def write(self, step: steps.Step) -> None:
        """Carry out a step that does nothing outside."""
        match step:
            case steps.PublishSpec(amphora_id=key, spec=spec):
                self.revisions += 1
                body = msgspec.structs.replace(spec, epoch=1, revision=self.revisions)
                self.note(key, published=Published(1, self.revisions, spec.generation, spec=body))
            case steps.RetireAmphora(amphora_id=key):
                self.revisions += 1
                self.note(
                    key,
                    published=Published(1, self.revisions, 0, retired=True),
                    status=PENDING_DELETE,
                )
            case steps.Settle():
                self.settle(step)
            case steps.LapseReservation():
                balancer = msgspec.structs.replace(self.desired.load_balancer, reserved_until=0.0)
                self.desired = changed(self.desired, load_balancer=balancer)
            case steps.Bury():
                self.buried = True
            case _:
                raise AssertionError(step)

    def agent(self) -> bool:
        """Let the agent obey every document and report; False when it has nothing to say."""
        said = False
        for key, each in list(self.amphorae.items()):
            document = each.published
            if not self.reports or document is None:
                continue
            report = Reported(
                document.epoch,
                document.revision,
                document.generation,
                serving=not document.retired,
                retired=document.retired,
            )
            said = said or report != each.reported
            self.note(key, reported=report)
        return said

    def note(self, amphora_id: str, **values: object) -> None:
        """Change the row of an amphora."""
        self.amphorae[amphora_id] = changed(self.amphorae[amphora_id], **values)  # type: ignore[arg-type]

    def plug(self, step: steps.EnsurePort, noted: Callable[[], None]) -> None:
        """Make a port, once per name, and note it; one that may be gone again is noted before."""
        if step.subnet_id is not None:
            begun = {**self.amphorae[step.amphora_id].ports, step.subnet_id: ""}
            self.note(step.amphora_id, ports=begun)
            noted()
        key = (step.amphora_id, step.name)
        number = len(self.ports) + 20
        addresses = tuple((subnet, f"10.1.0.{number}") for subnet in step.address_subnets)
        made = Plug(fresh_id(), step.network_id, f"02:00:00:00:00:{number:02x}", addresses)
        plug = self.ports.setdefault(key, made)
        noted()
        if step.subnet_id is None:
            self.note(step.amphora_id, port_id=plug.port_id, vrrp_ip=plug.addresses[0][1])
        else:
            ports = {**self.amphorae[step.amphora_id].ports, step.subnet_id: plug.port_id}
            self.note(step.amphora_id, ports=ports)

    def unplug(self, which: Callable[[str, Plug], bool]) -> None:
        """Remove ports."""
        self.ports = {k: plug for k, plug in self.ports.items() if not which(k[0], plug)}

    def settle(self, step: steps.Settle) -> None:
        """Apply the rule of settling to every row."""
        faults = by_object(step.faults)
        kept: dict[str, list[object]] = {}
        for row in self.desired.rows():
            found = outcome(row, step.applied, faults.get(row.id))
            if found is None:
                kept.setdefault(type(row).__name__, []).append(row)
            elif not found.removed:
                pending = None if found.pending is Pending.CLEARED else row.pending_since
                new = msgspec.structs.replace(
                    row,
                    settled=found.settled,
                    pending_since=pending,
                    fault=found.fault,
                    fault_generation=found.fault_generation,
                )
                kept.setdefault(type(row).__name__, []).append(new)
        self.desired = Desired(
            kept["LoadBalancer"][0],  # type: ignore[arg-type]
            *(
                tuple(kept.get(name, ()))
                for name in ("Listener", "Pool", "Member", "HealthMonitor")
            ),  # type: ignore[arg-type]
        )
        for key in step.serving:
            self.note(key, status=ALLOCATED)

    def run(self, crash_after: int | None = None) -> int:
        """Converge until there is nothing left to do; return how many boundaries were passed.

        Raise `Crash` at boundary number `crash_after` (counted from 0).
        """
        passed = 0

        def boundary() -> None:
            nonlocal passed
            passed += 1
            if crash_after is not None and passed > crash_after:
                raise Crash

        for _round in range(100):
            found = self.plan()
            for step in found.acts:
                boundary()
                self.take(step, boundary)
                boundary()
            if self.buried or (not found.acts and not self.agent()):
                return passed
        raise AssertionError(f"no end: {self.plan()}")
