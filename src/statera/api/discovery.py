"""What a client asks first: the version document and the sub-roots (`spec/api-behaviour` §6)."""

from __future__ import annotations

import falcon

from statera.api.context import ApiContext
from statera.api.desk import send

MINORS = (
    "2016-12-11T00:00:00Z",
    "2018-04-20T00:00:00Z",
    "2018-07-31T00:00:00Z",
    "2018-12-18T00:00:00Z",
    "2018-12-19T00:00:00Z",
    "2019-01-21T00:00:00Z",
    "2019-01-25T00:00:00Z",
    "2018-01-25T12:00:00Z",
    "2019-02-12T00:00:00Z",
    "2019-03-04T00:00:00Z",
    "2019-03-05T00:00:00Z",
    "2019-06-24T00:00:00Z",
    "2019-09-11T00:00:00Z",
    "2019-09-13T00:00:00Z",
    "2019-11-10T00:00:00Z",
    "2020-03-10T00:00:00Z",
    "2020-03-15T00:00:00Z",
    "2020-04-29T00:00:00Z",
    "2020-04-29T01:00:00Z",
    "2020-05-12T00:00:00Z",
    "2020-08-02T00:00:00Z",
    "2020-09-03T00:00:00Z",
    "2020-09-04T00:00:00Z",
    "2020-09-07T00:00:00Z",
    "2020-10-15T00:00:00Z",
    "2021-10-02T00:00:00Z",
    "2022-08-29T00:00:00Z",
    "2023-05-05T00:00:00Z",
    "2023-11-08T00:00:00Z",
    "2024-10-15T00:00:00Z",
    "2025-02-26T00:00:00Z",
)
"""Date of each API minor, v2.0 first."""


class Versions:
    """`/`: any method, no token."""

    def __init__(self, context: ApiContext) -> None:
        self._base = context.settings.api_base_uri.rstrip("/")

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Name every minor; the last one is current."""
        link = {"href": f"{self._base or req.prefix}/v2", "rel": "self"}
        versions = [
            {"id": f"v2.{minor}", "status": "SUPPORTED", "updated": updated, "links": [link]}
            for minor, updated in enumerate(MINORS)
        ]
        versions[-1]["status"] = "CURRENT"
        send(resp, {"versions": versions})

    on_post = on_put = on_delete = on_patch = on_head = on_get


class SubRoot:
    """`/v2`, `/v2/lbaas`, `/v2/octavia`."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the version's name."""
        send(resp, "v2")
