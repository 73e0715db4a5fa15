"""The catalogue: which services there are, and under which URLs.

Nothing of it is stored: it follows from the settings, and ids are derived from names, so that they
are the same in every process and after every restart.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import falcon

from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.wire import collection, matching, reply
from statera.lb.errors import NotFound

_SPACE = uuid.UUID("7c0dfc86-5a3e-4b7e-9b32-6d1c6a2b9f51")
INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True, slots=True)
class Service:
    """One service; `path` is appended to the installation's public URL."""

    type: str
    name: str
    path: str

    @property
    def id(self) -> str:
        """The service's id."""
        return uuid.uuid5(_SPACE, self.type).hex


SERVICES = (
    Service("identity", "keystone", "/identity"),
    Service("load-balancer", "octavia", "/load-balancer"),
    Service("network", "neutron", "/network"),
)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Services and endpoints of one installation."""

    public_url: str
    region: str
    services: tuple[Service, ...] = SERVICES

    @classmethod
    def of(cls, settings: IdentitySettings) -> Catalog:
        """Return the catalogue that follows from the settings."""
        return cls(settings.public_url.rstrip("/"), settings.region)

    def url(self, service: Service) -> str:
        """Return where a service is reached."""
        return self.public_url + service.path

    def endpoints(self) -> list[dict[str, Any]]:
        """Return every endpoint as `GET /v3/endpoints` shows it, without links."""
        return [
            {
                "id": uuid.uuid5(_SPACE, f"{service.type}/{interface}").hex,
                "interface": interface,
                "region": self.region,
                "region_id": self.region,
                "service_id": service.id,
                "url": self.url(service),
                "enabled": True,
            }
            for service in self.services
            for interface in INTERFACES
        ]

    def body(self) -> list[dict[str, Any]]:
        """Return the catalogue as a token shows it."""
        keys = ("id", "interface", "region", "region_id", "url")
        endpoints = self.endpoints()
        return [
            {
                "id": service.id,
                "type": service.type,
                "name": service.name,
                "endpoints": [
                    {key: endpoint[key] for key in keys}
                    for endpoint in endpoints
                    if endpoint["service_id"] == service.id
                ],
            }
            for service in self.services
        ]


class CatalogueApi:
    """Services, endpoints or regions, read-only; `kind` is the plural in the URL."""

    def __init__(self, catalog: Catalog, kind: str) -> None:
        self._kind = kind
        self._rows: list[dict[str, Any]]
        if kind == "services":
            self._rows = [
                {"id": s.id, "type": s.type, "name": s.name, "description": "", "enabled": True}
                for s in catalog.services
            ]
        elif kind == "endpoints":
            self._rows = catalog.endpoints()
        else:
            self._rows = [{"id": catalog.region, "description": "", "parent_region_id": None}]

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List, filtered by any attribute."""
        reply(resp, collection(req, self._kind, matching(req, self._rows)))

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, object_id: str) -> None:
        """Show one."""
        singular = self._kind[:-1]
        for row in self._rows:
            if row["id"] == object_id:
                link = {"self": f"{req.prefix}/v3/{self._kind}/{object_id}"}
                reply(resp, {singular: {**row, "links": link}})
                return
        raise NotFound(f"Could not find {singular}: {object_id}.")
