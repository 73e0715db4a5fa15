"""The REST face as one WSGI application.

It is mounted at `/` or below a prefix (`/load-balancer`); addresses in replies follow the request.
"""

from __future__ import annotations

from typing import Any

import falcon

from statera.api.context import ApiContext
from statera.api.discovery import SubRoot, Versions
from statera.api.faults import Faults
from statera.api.health_monitors import HealthMonitorCollection, HealthMonitorItem
from statera.api.listeners import ListenerCollection, ListenerItem, ListenerStatistics
from statera.api.load_balancers import (
    LoadBalancerCollection,
    LoadBalancerFailover,
    LoadBalancerItem,
    LoadBalancerStatistics,
    LoadBalancerStatusTree,
)
from statera.api.members import MemberCollection, MemberItem
from statera.api.middleware import Gate
from statera.api.pools import PoolCollection, PoolItem
from statera.api.providers import ProviderCollection

ROOTS = ("/v2", "/v2.0")
PREFIXES = tuple(f"{root}{part}" for root in ROOTS for part in ("/lbaas", ""))
SUB_ROOTS = (*ROOTS, *(f"{root}{part}" for root in ROOTS for part in ("/lbaas", "/octavia")))


def create_app(context: ApiContext) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application."""
    app: falcon.App[falcon.Request, falcon.Response] = falcon.App(middleware=[Gate(context)])
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    Faults(context).install(app)
    app.add_route("/", Versions(context))
    for path in SUB_ROOTS:
        app.add_route(path, SubRoot())
    for path, resource in _resources(context).items():
        for prefix in PREFIXES:
            app.add_route(f"{prefix}{path}", resource)
    return app


def _resources(context: ApiContext) -> dict[str, Any]:
    balancer = "/loadbalancers/{object_id}"
    status = LoadBalancerStatusTree(context)
    return {
        "/loadbalancers": LoadBalancerCollection(context),
        balancer: LoadBalancerItem(context),
        f"{balancer}/stats": LoadBalancerStatistics(context),
        f"{balancer}/status": status,
        f"{balancer}/statuses": status,
        f"{balancer}/failover": LoadBalancerFailover(context),
        "/listeners": ListenerCollection(context),
        "/listeners/{object_id}": ListenerItem(context),
        "/listeners/{object_id}/stats": ListenerStatistics(context),
        "/pools": PoolCollection(context),
        "/pools/{pool_id}": PoolItem(context),
        "/pools/{pool_id}/members": MemberCollection(context),
        "/pools/{pool_id}/members/{object_id}": MemberItem(context),
        "/healthmonitors": HealthMonitorCollection(context),
        "/healthmonitors/{object_id}": HealthMonitorItem(context),
        "/providers": ProviderCollection(context),
    }
