"""Providers: who can run a load balancer (`spec/api-resources` §9)."""

from __future__ import annotations

import falcon

from statera.api import policy
from statera.api.context import ApiContext
from statera.api.desk import narrowed, send
from statera.api.requests import caller_of


class ProviderCollection:
    """`/providers`."""

    def __init__(self, context: ApiContext) -> None:
        self._providers = [
            {"name": name, "description": description}
            for name, description in context.settings.providers().items()
        ]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the enabled providers."""
        caller = caller_of(req)
        policy.enforce(caller, "provider:get_all", caller.project_id)
        send(resp, {"providers": [narrowed(req, dict(one)) for one in self._providers]})
