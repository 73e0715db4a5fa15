"""Version documents: what a client reads before anything else."""

from __future__ import annotations

from typing import Any

import falcon

from statera.cloud.identity.wire import reply


class DiscoveryApi:
    """GET / and GET /v3; links follow the URL that the client used."""

    open_to_all = True

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List versions: 300, there might be a choice."""
        reply(resp, {"versions": {"values": [_version(req)]}}, falcon.HTTP_300)

    def on_get_version(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show version 3."""
        reply(resp, {"version": _version(req)})


def _version(req: falcon.Request) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{req.prefix}/v3/"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
        ],
    }
