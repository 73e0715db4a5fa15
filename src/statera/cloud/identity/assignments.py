"""Who has which role where: grants on projects and /v3/role_assignments."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import falcon
import sqlalchemy as sa
from oslo_db import exception as db_errors
from sqlalchemy.engine import Connection

from statera.cloud.identity import role_api
from statera.cloud.identity.domains import DOMAIN
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.roles import closure
from statera.cloud.identity.tables import assignment, project, role, user
from statera.cloud.identity.wire import (
    caller,
    collection,
    flag,
    refusing,
    reply,
    require_admin,
)
from statera.lb.errors import NotFound

LOG = logging.getLogger(__name__)


class GrantsApi:
    """/v3/projects/{p}/users/{u}/roles and …/roles/{r}; for administrators."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, project_id: str, user_id: str
    ) -> None:
        """List the roles given to the user on the project."""
        require_admin(req)
        statement = (
            sa.select(role)
            .join(assignment, assignment.c.role_id == role.c.id)
            .where(assignment.c.project_id == project_id, assignment.c.user_id == user_id)
            .order_by(role.c.name)
        )

        def work(connection: Connection) -> list[dict[str, Any]]:
            _check(connection, project_id, user_id)
            return [role_api.shown(row) for row in connection.execute(statement)]

        reply(resp, collection(req, "roles", self._database.read(work)))

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Tell by 204 or 404 whether the role is given."""
        require_admin(req)
        statement = sa.select(assignment.c.role_id).where(*_matches(path))
        if self._database.read(lambda connection: connection.scalar(statement)) is None:
            raise NotFound("Could not find role assignment.")
        resp.status = falcon.HTTP_204

    on_head_one = on_get_one

    def on_put_one(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Give the role; giving it twice is the same."""
        require_admin(req)

        def work(connection: Connection) -> None:
            _check(connection, path["project_id"], path["user_id"])
            role_api.find(connection, path["role_id"])
            held = sa.select(assignment.c.role_id).where(*_matches(path))
            if connection.scalar(held) is None:
                connection.execute(assignment.insert().values(path))

        with refusing("The role is given already."), suppress(db_errors.DBDuplicateEntry):
            self._database.write(work)  # a duplicate: somebody else gave it at the same moment
        resp.status = falcon.HTTP_204
        _log("granted", path)

    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, **path: str) -> None:
        """Take the role; tokens lose it at once."""
        require_admin(req)
        statement = assignment.delete().where(*_matches(path))
        gone = self._database.write(lambda connection: connection.execute(statement).rowcount)
        if not gone:
            raise NotFound("Could not find role assignment.")
        resp.status = falcon.HTTP_204
        _log("withdrawn", path)


class AssignmentsApi:
    """GET /v3/role_assignments."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List assignments: all to administrators, their own to users."""
        if req.get_param("user.id") != caller(req).user_id:
            require_admin(req)
        rows = self._database.read(lambda connection: _listed(connection, req))
        link = {"self": req.uri, "next": None, "previous": None}
        reply(resp, {"role_assignments": rows, "links": link})


def _check(connection: Connection, project_id: str, user_id: str) -> None:
    for table, kind, wanted in ((project, "project", project_id), (user, "user", user_id)):
        if connection.scalar(sa.select(table.c.id).where(table.c.id == wanted)) is None:
            raise NotFound(f"Could not find {kind}: {wanted}.")


def _matches(path: dict[str, str]) -> list[sa.ColumnElement[bool]]:
    return [assignment.c[column] == value for column, value in path.items()]


def _log(event: str, path: dict[str, str]) -> None:
    LOG.info(
        "identity.role.%s role=%s user=%s project=%s",
        event,
        path["role_id"],
        path["user_id"],
        path["project_id"],
    )


def _listed(connection: Connection, req: falcon.Request) -> list[dict[str, Any]]:
    if any(
        req.get_param(name) is not None
        for name in ("group.id", "scope.domain.id", "scope.system", "scope.OS-INHERIT:inherited_to")
    ):
        return []  # there are no groups, and no roles but on projects
    statement = (
        sa.select(
            user.c.id.label("user_id"),
            user.c.name.label("user_name"),
            project.c.id.label("project_id"),
            project.c.name.label("project_name"),
            role.c.id.label("role_id"),
            role.c.name.label("role_name"),
        )
        .select_from(assignment)
        .join(user, user.c.id == assignment.c.user_id)
        .join(project, project.c.id == assignment.c.project_id)
        .join(role, role.c.id == assignment.c.role_id)
        .order_by(user.c.name, project.c.name, role.c.name)
    )
    for name, column in (("user.id", user.c.id), ("scope.project.id", project.c.id)):
        if (value := req.get_param(name)) is not None:
            statement = statement.where(column == value)
    rows = [dict(row._mapping) for row in connection.execute(statement)]
    if flag(req, "effective"):
        rows = _effective(connection, rows)
    if (wanted := req.get_param("role.id")) is not None:
        rows = [row for row in rows if row["role_id"] == wanted]
    return [_entry(req, row) for row in rows]


def _effective(connection: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with those that follow from them, each once."""
    ids = {row.name: row.id for row in connection.execute(sa.select(role.c.id, role.c.name))}
    found = {
        (row["user_id"], row["project_id"], name): {
            **row,
            "role_id": ids[name],
            "role_name": name,
        }
        for row in rows
        for name in sorted(closure(frozenset((row["role_name"],))))
        if name in ids
    }
    return list(found.values())


def _entry(req: falcon.Request, row: dict[str, Any]) -> dict[str, Any]:
    link = (
        f"{req.prefix}/v3/projects/{row['project_id']}/users/{row['user_id']}"
        f"/roles/{row['role_id']}"
    )
    names = flag(req, "include_names")

    def part(kind: str, domain: bool = True) -> dict[str, Any]:
        body: dict[str, Any] = {"id": row[f"{kind}_id"]}
        if names:
            body["name"] = row[f"{kind}_name"]
            if domain:
                body["domain"] = DOMAIN
        return body

    return {
        "role": part("role", domain=False),
        "user": part("user"),
        "scope": {"project": part("project")},
        "links": {"assignment": link},
    }
