"""Roles as objects: /v3/roles."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import Any

import falcon
import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.identity.bodies import RoleCreateBody, RoleUpdateBody
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.roles import BUILT_IN
from statera.cloud.identity.tables import role
from statera.cloud.identity.wire import (
    collection,
    filters,
    read,
    refusing,
    reply,
    require_admin,
)
from statera.lb.errors import Forbidden, InvalidInput, NotFound

LOG = logging.getLogger(__name__)


def find(connection: Connection, role_id: str) -> sa.Row[Any]:
    """Return the role's row; raise `NotFound`."""
    row = connection.execute(sa.select(role).where(role.c.id == role_id)).first()
    if row is None:
        raise NotFound(f"Could not find role: {role_id}.")
    return row


def shown(row: sa.Row[Any]) -> dict[str, Any]:
    """Return a role's row as clients see it, without links."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "domain_id": None,
        "options": {},
    }


class RolesApi:
    """List, create, show, change and delete roles: /v3/roles."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List roles, to everybody: names of roles are no secret, and users delegate them."""
        rows: Sequence[sa.Row[Any]] = []
        if req.get_param("domain_id") is None:
            statement = sa.select(role).where(*filters(req, role, ("id", "name")))
            rows = self._database.read(
                lambda connection: connection.execute(statement.order_by(role.c.name)).all()
            )
        reply(resp, collection(req, "roles", [shown(row) for row in rows]))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a role."""
        require_admin(req)
        wish = read(req, RoleCreateBody).role
        if wish.domain_id is not None:
            raise InvalidInput("Roles of a domain do not exist here.")
        values = {"id": uuid.uuid4().hex, "name": wish.name, "description": wish.description}
        with refusing(f"There is a role named {wish.name} already."):
            self._database.write(
                lambda connection: connection.execute(role.insert().values(values))
            )
        LOG.info("identity.role.created role=%s", values["id"])
        self._answer(req, resp, str(values["id"]), falcon.HTTP_201)

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Show a role."""
        self._answer(req, resp, role_id)

    def on_patch_one(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Rename a role or describe it."""
        require_admin(req)
        wish = read(req, RoleUpdateBody).role
        values = {
            name: value
            for name in ("name", "description")
            if (value := getattr(wish, name)) is not msgspec.UNSET
        }

        def work(connection: Connection) -> None:
            _refuse_built_in(find(connection, role_id))
            if values:
                connection.execute(role.update().where(role.c.id == role_id).values(values))

        with refusing(f"There is a role named {values.get('name')} already."):
            self._database.write(work)
        LOG.info("identity.role.changed role=%s", role_id)
        self._answer(req, resp, role_id)

    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, role_id: str) -> None:
        """Delete a role and take it from everybody."""
        require_admin(req)

        def work(connection: Connection) -> None:
            _refuse_built_in(find(connection, role_id))
            connection.execute(role.delete().where(role.c.id == role_id))

        self._database.write(work)
        resp.status = falcon.HTTP_204
        LOG.info("identity.role.deleted role=%s", role_id)

    def _answer(
        self, req: falcon.Request, resp: falcon.Response, role_id: str, status: str = "200 OK"
    ) -> None:
        row = self._database.read(lambda connection: find(connection, role_id))
        link = {"self": f"{req.prefix}/v3/roles/{role_id}"}
        reply(resp, {"role": {**shown(row), "links": link}}, status)


def _refuse_built_in(row: sa.Row[Any]) -> None:
    if row.name in BUILT_IN:
        raise Forbidden(f"The role {row.name} is built in and cannot change.")
