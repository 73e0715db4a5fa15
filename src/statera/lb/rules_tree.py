"""The tree of a single-call creation: which pools it defines and which listeners use them.

A pool may be defined at the top or within a listener; an object that holds only a `name` refers to
a pool that is defined elsewhere in the same request (`spec/api-resources` §1.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from statera.lb import rules, rules_listener, rules_member, rules_monitor, rules_pool
from statera.lb.deployment import Deployment
from statera.lb.errors import InvalidInput, NotFound
from statera.lb.reading import Values


@dataclass(frozen=True, slots=True)
class Tree:
    """The objects of a single-call creation.

    `uses` holds for each listener the position of its default pool in `pools`, or None.
    """

    pools: Sequence[Values]
    listeners: Sequence[Values]
    uses: Sequence[int | None]


def tree_of(values: Mapping[str, Any]) -> Tree:
    """Return the tree that the values of a load balancer's creation describe."""
    inline = [one["default_pool"] for one in values["listeners"] if one["default_pool"] is not None]
    if any(not one["name"] for one in inline):
        raise InvalidInput.rule("Pools must be named when creating a fully populated loadbalancer.")
    pools = [*values["pools"], *(one for one in inline if one.given != {"name"})]
    for one in pools:
        _defined(one)
    places = {one["name"]: place for place, one in enumerate(pools)}
    if len(places) < len(pools):
        raise InvalidInput.rule(
            "Pool names must be unique when creating a fully populated loadbalancer."
        )
    uses = [_place(one["default_pool"], places) for one in values["listeners"]]
    return Tree(pools, values["listeners"], uses)


def check(tree: Tree, deployment: Deployment) -> None:
    """Apply the rules of every object in the tree."""
    for pool in tree.pools:
        _check_pool(pool, deployment)
    taken: list[tuple[str, int]] = []
    for listener, place in zip(tree.listeners, tree.uses, strict=True):
        if listener["default_pool_id"] is not None:
            raise NotFound.resource("Pool", listener["default_pool_id"])
        if place is not None:
            rules.listener_takes_pools(listener["protocol"])
            rules.listener_fits_pool(listener["protocol"], tree.pools[place]["protocol"])
        rules_listener.creation(listener, deployment)
        rules_listener.port_free(listener, taken)
        taken.append((listener["protocol"], listener["protocol_port"]))


def _check_pool(pool: Values, deployment: Deployment) -> None:
    rules_pool.creation(pool, deployment)
    rules_member.keys_unique(pool["members"], {})
    for member in pool["members"]:
        rules_member.creation(member, deployment)
    if pool["healthmonitor"] is not None:
        rules_monitor.creation(pool["healthmonitor"], pool["protocol"], deployment)


def _defined(pool: Values) -> None:
    for name in ("protocol", "lb_algorithm"):
        if pool[name] is None:
            raise InvalidInput.rule(
                f"Pool definition for '{pool['name']}' missing required attribute: {name}"
            )


def _place(wanted: Values | None, places: Mapping[str, int]) -> int | None:
    if wanted is None:
        return None
    if wanted["name"] not in places:
        raise InvalidInput.rule(
            f"Pool '{wanted['name']}' was referenced but no full definition was found."
        )
    return places[wanted["name"]]
