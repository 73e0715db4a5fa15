"""Creating a load balancer: resolve its VIP, reserve, get the port, confirm (design §4).

The network service is asked before and between the transactions, never inside one.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from statera.api import policy
from statera.api.context import ApiContext
from statera.api.desk import Desk, new_id
from statera.api.tree import planted, tree_reply
from statera.api.vip import Resolver, Vip, missing_on_port
from statera.edges.network.protocol import (
    DEVICE_OWNER,
    AddressInUse,
    Port,
    vip_device,
    vip_port,
)
from statera.lb import rules_listener, rules_pool, rules_provider, rules_tree
from statera.lb.caller import Caller
from statera.lb.errors import Conflict, InvalidInput, Retryable, UserError
from statera.lb.reading import Values
from statera.lb.statuses import OFFLINE
from statera.store import writes_creation

LOG = logging.getLogger(__name__)


class Creation:
    """Creates load balancers."""

    def __init__(self, context: ApiContext, desk: Desk) -> None:
        self._context = context
        self._desk = desk

    def create(self, caller: Caller, values: Values) -> dict[str, Any]:
        """Create a load balancer, with its tree if it has one, and return the reply."""
        project_id = _project(caller, values)
        policy.enforce(caller, "loadbalancer:post", project_id)
        if "vip_sg_ids" in values.given:
            policy.enforce(caller, "loadbalancer:post:vip_sg_ids", project_id)
        networks, settings = self._context.networks, self._context.settings
        vip = Resolver(networks, settings, self._context.looker(caller)).resolve(values)
        tree = self._checked(caller, values)
        row = self._row(values, project_id, vip)
        seconds = self._context.settings.reservation_seconds
        self._context.database.write(lambda c: writes_creation.reserve(c, row, seconds))
        self._context.checkpoint("reserved")
        port = self._port(row, vip)
        self._context.checkpoint("plugged")
        return self._confirm(row | _vip_columns(vip, port), tree, port)

    def _checked(self, caller: Caller, values: Values) -> rules_tree.Tree:
        refuse_vip_options(values)
        provider = self._provider(values)
        if "flavor_id" in values.given:
            raise InvalidInput.rule("Invalid flavor_id.")
        if "availability_zone" in values.given:
            raise InvalidInput.rule("Invalid availability zone.")
        tree = rules_tree.tree_of(values)
        rules_tree.check(tree, self._context.deployment)
        for listener in tree.listeners:
            self._context.refuse_unreadable(rules_listener.references(listener), caller)
        for pool in tree.pools:
            self._context.refuse_unreadable(rules_pool.references(pool), caller)
        for pool in tree.pools:
            rules_provider.pool(provider, pool)
        for listener in tree.listeners:
            rules_provider.listener(provider, listener)
        # an amphora is plugged into these: a foreign one must read as missing
        members = (member for pool in tree.pools for member in pool["members"])
        subnets = {member["subnet_id"] for member in members if member["subnet_id"] is not None}
        self._context.refuse_invisible_subnets(sorted(subnets), caller)
        return tree

    def _provider(self, values: Values) -> str:
        if "provider" not in values.given:
            return self._context.settings.default_provider_driver
        provider: str = "amphora" if values["provider"] is None else values["provider"]
        if provider not in self._context.settings.providers():
            raise InvalidInput(f"Provider '{provider}' is not enabled.")
        return provider

    def _row(self, values: Values, project_id: str, vip: Vip) -> dict[str, Any]:
        return {
            **values,
            "id": new_id(),
            "project_id": project_id,
            "provider": self._provider(values),
            "operating_status": OFFLINE,
            "topology": self._context.settings.loadbalancer_topology,
            "vip_port_id": vip.port_id,
            "vip_port_owned": vip.port_id is None,
            "vip_network_id": vip.network_id,
            "vip_subnet_id": vip.subnet_id,
            "vip_address": vip.address,
            "vip_qos_policy_id": vip.qos_policy_id,
            "vip_vnic_type": "normal",
        }

    def _port(self, row: Mapping[str, Any], vip: Vip) -> Port:
        """Return the VIP port, made or claimed; leave nothing behind where that is refused."""
        load_balancer_id = row["id"]
        networks = self._context.networks
        try:
            if vip.port_id is not None:
                device = vip_device(load_balancer_id)
                return networks.claim_port(vip.port_id, device, DEVICE_OWNER)
            wanted = ((vip.subnet_id, vip.address), *vip.additional)
            return networks.ensure_port(
                vip_port(load_balancer_id, row["project_id"], vip.network_id, wanted)
            )
        except AddressInUse as error:
            self._leave(load_balancer_id)
            raise Conflict(f"The VIP IP address is already in use: {error}") from None
        except UserError:
            self._leave(load_balancer_id)
            raise
        except Exception as error:
            # What the network service did, or is still doing, is not known: the reservation stays,
            # and the ordinary deletion cleans up when it ends.
            LOG.warning("api.vip_unknown load_balancer=%s error=%s", load_balancer_id, error)
            raise

    def _leave(self, load_balancer_id: str) -> None:
        self._context.database.write(lambda c: writes_creation.refuse(c, load_balancer_id))

    def _confirm(self, row: Mapping[str, Any], tree: rules_tree.Tree, port: Port) -> dict[str, Any]:
        load_balancer_id = row["id"]
        rows = planted(tree)

        def work(connection: Connection) -> dict[str, Any] | None:
            if not writes_creation.confirm(connection, load_balancer_id, row, rows):
                return None
            full = self._desk.full(connection, load_balancer_id)
            return tree_reply(connection, self._desk, full, bool(rows.listeners or rows.pools))

        try:
            _refuse_moved(row, port)
            _refuse_cidrs(row, tree)
            reply = self._context.write(work)
        except UserError:
            self._context.networks.release_port(port.id, vip_device(load_balancer_id))
            self._leave(load_balancer_id)
            raise
        if reply is None:
            self._context.networks.release_port(port.id, vip_device(load_balancer_id))
            raise Retryable("The creation of the load balancer took too long.")
        return reply


def _refuse_moved(row: Mapping[str, Any], port: Port) -> None:
    """Raise `InvalidInput` for a user's port that lost the VIP before it was claimed.

    The address may be somebody else's by now.
    """
    held = {(each.subnet_id, ipaddress.ip_address(each.ip_address)) for each in port.fixed_ips}
    vips = [(row["vip_subnet_id"], row["vip_address"])]
    vips += [(vip["subnet_id"], vip["ip_address"]) for vip in row["additional_vips"]]
    for subnet_id, address in vips:
        if address is None or (subnet_id, ipaddress.ip_address(address)) not in held:
            raise missing_on_port()


def _refuse_cidrs(row: Mapping[str, Any], tree: rules_tree.Tree) -> None:
    vips = [row["vip_address"], *(vip["ip_address"] for vip in row["additional_vips"])]
    for listener in tree.listeners:
        rules_listener.cidrs_fit(listener, [vip for vip in vips if vip], row["vip_sg_ids"])


def refuse_vip_options(values: Mapping[str, Any]) -> None:
    """Raise `InvalidInput` for QoS policies and security groups: this deployment has none."""
    if values.get("vip_qos_policy_id") is not None:
        raise InvalidInput.rule("VIP QoS policy is not allowed in this deployment.")
    for group in values.get("vip_sg_ids") or ():
        raise InvalidInput(f"Security Group {group} not found.")


def _project(caller: Caller, values: Values) -> str:
    project_id: str | None = values["project_id"] or caller.project_id
    if project_id is None:
        raise InvalidInput.rule(
            "Missing project ID in request where one is required. An administrator should check "
            "the keystone settings in the Octavia configuration."
        )
    return project_id


def _vip_columns(vip: Vip, port: Port) -> dict[str, Any]:
    """Return the VIP's columns as the port has it."""
    addresses = {fixed.subnet_id: fixed.ip_address for fixed in port.fixed_ips}
    return {
        "vip_port_id": port.id,
        "vip_network_id": port.network_id,
        "vip_address": vip.address or addresses.get(vip.subnet_id),
        "vip_qos_policy_id": port.qos_policy_id,
        "additional_vips": [
            {
                "subnet_id": subnet_id,
                "ip_address": address or addresses.get(subnet_id),
                "network_id": port.network_id,
                "port_id": port.id,
            }
            for subnet_id, address in vip.additional
        ],
    }
