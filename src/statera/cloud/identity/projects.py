"""Projects: /v3/projects and the projects of a user."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import falcon
import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.identity.bodies import (
    ProjectCreate,
    ProjectCreateBody,
    ProjectUpdateBody,
)
from statera.cloud.identity.domains import DOMAIN_ID, require_ours
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.tables import project
from statera.cloud.identity.wire import (
    caller,
    collection,
    filters,
    read,
    refusing,
    reply,
    require_admin,
)
from statera.lb.errors import InvalidInput, NotFound

LOG = logging.getLogger(__name__)


class ProjectsApi:
    """List, create, show, change and delete projects."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List projects."""
        require_admin(req)
        statement = (
            sa.select(project)
            .where(*filters(req, project, ("id", "name", "domain_id", "enabled")))
            .order_by(project.c.name)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        reply(resp, collection(req, "projects", [shown(row) for row in rows]))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a project."""
        require_admin(req)
        wish = read(req, ProjectCreateBody).project
        _check(wish)
        values: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "domain_id": DOMAIN_ID,
            "name": wish.name,
            "description": wish.description or "",
            "enabled": wish.enabled,
            "tags": wish.tags,
            "epoch": 1,
        }
        with refusing(f"There is a project named {wish.name} already."):
            self._database.write(
                lambda connection: connection.execute(project.insert().values(values))
            )
        LOG.info("identity.project.created project=%s", values["id"])
        self._answer(req, resp, values["id"], falcon.HTTP_201)

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Show a project: any to administrators, the token's own to others."""
        if caller(req).project_id != project_id:
            require_admin(req)
        self._answer(req, resp, project_id)

    def on_patch_one(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Change a project; disabling it kills its tokens."""
        require_admin(req)
        values = changes(read(req, ProjectUpdateBody).project)
        with refusing(f"There is a project named {values.get('name')} already."):
            self._database.write(lambda connection: _change(connection, project_id, values))
        LOG.info("identity.project.changed project=%s keys=%s", project_id, ",".join(values))
        self._answer(req, resp, project_id)

    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Delete a project, the roles given on it and its application credentials."""
        require_admin(req)
        statement = project.delete().where(project.c.id == project_id)
        gone = self._database.write(lambda connection: connection.execute(statement).rowcount)
        if not gone:
            raise _missing(project_id)
        resp.status = falcon.HTTP_204
        LOG.info("identity.project.deleted project=%s", project_id)

    def _answer(
        self, req: falcon.Request, resp: falcon.Response, project_id: str, status: str = "200 OK"
    ) -> None:
        body = self._database.read(lambda connection: find(connection, project_id))
        link = {"self": f"{req.prefix}/v3/projects/{project_id}"}
        reply(resp, {"project": {**body, "links": link}}, status)


def find(connection: Connection, project_id: str) -> dict[str, Any]:
    """Return the project as clients see it; raise `NotFound`."""
    row = connection.execute(sa.select(project).where(project.c.id == project_id)).first()
    if row is None:
        raise _missing(project_id)
    return shown(row)


def shown(row: sa.Row[Any]) -> dict[str, Any]:
    """Return a project's row as clients see it, without links."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "domain_id": row.domain_id,
        "parent_id": row.domain_id,
        "is_domain": False,
        "tags": row.tags,
        "options": {},
    }


def changes(wish: msgspec.Struct) -> dict[str, Any]:
    """Return the columns that an update names."""
    given = {
        name: value
        for name in wish.__struct_fields__
        if (value := getattr(wish, name)) is not msgspec.UNSET
    }
    given.pop("options", None)
    require_ours(given.pop("domain_id", None))
    return given


def _check(wish: ProjectCreate) -> None:
    require_ours(wish.domain_id)
    if wish.parent_id not in (None, DOMAIN_ID) or wish.is_domain:
        raise InvalidInput("Projects have no parent but the domain, and are no domains.")


def _change(connection: Connection, project_id: str, values: dict[str, Any]) -> None:
    columns: dict[str, Any] = dict(values)
    if "description" in columns:
        columns["description"] = columns["description"] or ""
    if columns.get("enabled") is False:
        columns["epoch"] = project.c.epoch + 1
    find(connection, project_id)
    if columns:
        connection.execute(project.update().where(project.c.id == project_id).values(columns))


def _missing(project_id: str) -> NotFound:
    return NotFound(f"Could not find project: {project_id}.")
