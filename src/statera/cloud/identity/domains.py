"""The one domain.  Keystone's API asks for one everywhere; nothing is stored about it."""

from __future__ import annotations

import falcon

from statera.cloud.identity.bodies import Ref
from statera.cloud.identity.wire import collection, matching, reply
from statera.lb.errors import InvalidInput, NotFound

DOMAIN_ID = "default"
DOMAIN_NAME = "Default"
DOMAIN = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
_ROW = {**DOMAIN, "description": "The default domain", "enabled": True, "tags": [], "options": {}}


def is_ours(reference: Ref | None) -> bool:
    """Tell whether `reference` names the one domain; raise `InvalidInput` without any name."""
    if reference is None or (reference.id is None and reference.name is None):
        raise InvalidInput("A name needs a domain beside it, by id or by name.")
    if reference.id is not None:
        return reference.id == DOMAIN_ID
    return reference.name == DOMAIN_NAME


def require_ours(domain_id: str | None) -> None:
    """Raise `NotFound` for any other domain; None means the one there is."""
    if domain_id not in (None, DOMAIN_ID):
        raise NotFound(f"Could not find domain: {domain_id}.")


class DomainsApi:
    """GET /v3/domains, /v3/domains/{id} and /v3/auth/domains."""

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the domain."""
        reply(resp, collection(req, "domains", matching(req, [_ROW])))

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, domain_id: str) -> None:
        """Show the domain."""
        require_ours(domain_id)
        link = {"self": f"{req.prefix}/v3/domains/{domain_id}"}
        reply(resp, {"domain": {**_ROW, "links": link}})

    def on_get_mine(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the domains on which the caller has a role: roles are given on projects only."""
        reply(resp, collection(req, "domains", []))
