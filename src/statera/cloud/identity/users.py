"""Users: /v3/users, their passwords and their projects."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import falcon
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.identity.authentication import reachable
from statera.cloud.identity.bodies import (
    PasswordChangeBody,
    ScopedRef,
    UserCreateBody,
    UserUpdateBody,
)
from statera.cloud.identity.domains import DOMAIN_ID, require_ours
from statera.cloud.identity.login import Login, find_user
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.projects import changes
from statera.cloud.identity.tables import user
from statera.cloud.identity.wire import (
    caller,
    collection,
    filters,
    read,
    refusing,
    reply,
    require_admin,
    require_self,
)
from statera.lb.errors import Forbidden, NotFound, Unauthorized

LOG = logging.getLogger(__name__)


class UsersApi:
    """List, create, show, change and delete users."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._passwords = parts.passwords

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List users."""
        require_admin(req)
        statement = (
            sa.select(user)
            .where(*filters(req, user, ("id", "name", "domain_id", "enabled")))
            .order_by(user.c.name)
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        reply(resp, collection(req, "users", [_shown(row) for row in rows]))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a user."""
        require_admin(req)
        wish = read(req, UserCreateBody).user
        require_ours(wish.domain_id)
        values: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "domain_id": DOMAIN_ID,
            "name": wish.name,
            "enabled": wish.enabled,
            "epoch": 1,
            "password_hash": self._passwords.hash(wish.password) if wish.password else None,
            "description": wish.description,
            "email": wish.email,
            "default_project_id": wish.default_project_id,
        }
        with refusing(f"There is a user named {wish.name} already."):
            self._database.write(
                lambda connection: connection.execute(user.insert().values(values))
            )
        LOG.info("identity.user.created user=%s", values["id"])
        self._answer(req, resp, values["id"], falcon.HTTP_201)

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """Show a user: any to administrators, themselves to others."""
        require_self(req, user_id)
        self._answer(req, resp, user_id)

    def on_patch_one(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """Change a user; a new password or disabling kills all the user's tokens."""
        require_admin(req)
        values = changes(read(req, UserUpdateBody).user)
        keys = ",".join(values)
        if "password" in values:
            values["password_hash"] = self._passwords.hash(values.pop("password"))
        with refusing(f"There is a user named {values.get('name')} already."):
            self._database.write(lambda connection: _change(connection, user_id, values))
        LOG.info("identity.user.changed user=%s keys=%s", user_id, keys)
        self._answer(req, resp, user_id)

    def on_delete_one(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """Delete a user with their roles and application credentials."""
        require_admin(req)
        statement = user.delete().where(user.c.id == user_id)
        gone = self._database.write(lambda connection: connection.execute(statement).rowcount)
        if not gone:
            raise _missing(user_id)
        resp.status = falcon.HTTP_204
        LOG.info("identity.user.deleted user=%s", user_id)

    def on_get_projects(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """List the projects on which the user has a role."""
        require_self(req, user_id)

        def work(connection: Connection) -> list[dict[str, Any]]:
            _find(connection, user_id)
            return reachable(connection, user_id)

        reply(resp, collection(req, "projects", self._database.read(work)))

    def on_get_groups(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """List the user's groups: there are none."""
        require_self(req, user_id)
        reply(resp, collection(req, "groups", []))

    def _answer(
        self, req: falcon.Request, resp: falcon.Response, user_id: str, status: str = "200 OK"
    ) -> None:
        row = self._database.read(lambda connection: _find(connection, user_id))
        link = {"self": f"{req.prefix}/v3/users/{user_id}"}
        reply(resp, {"user": {**_shown(row), "links": link}}, status)


class PasswordApi:
    """POST /v3/users/{id}/password: users change their own."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._login = Login(parts)

    def on_post(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """Change the password; every token of the user dies, the caller's own too."""
        if caller(req).user_id != user_id:
            raise Forbidden("Users change their own password only; administrators set others'.")
        wish = read(req, PasswordChangeBody).user
        row = self._parts.database.read(
            lambda connection: find_user(connection, ScopedRef(id=user_id))
        )
        self._login.check_password(row, wish.original_password, (req.remote_addr, user_id))
        assert row is not None  # noqa: S101 (check_password raised)
        statement = (
            user.update()
            # Unless an administrator was faster: the password that was just checked is void then.
            .where(user.c.id == user_id, user.c.epoch == row.epoch)
            .values(password_hash=self._parts.passwords.hash(wish.password), epoch=user.c.epoch + 1)
        )
        if not self._parts.database.write(lambda c: c.execute(statement).rowcount):
            raise Unauthorized("The user was changed meanwhile")
        resp.status = falcon.HTTP_204
        LOG.info("identity.user.password_changed user=%s", user_id)


def _shown(row: sa.Row[Any]) -> dict[str, Any]:
    body = {
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "enabled": row.enabled,
        "password_expires_at": None,
        "options": {},
    }
    for key in ("description", "email", "default_project_id"):
        if (value := getattr(row, key)) is not None:
            body[key] = value
    return body


def _find(connection: Connection, user_id: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(user).where(user.c.id == user_id)).first()
    if row is None:
        raise _missing(user_id)
    return row


def _change(connection: Connection, user_id: str, values: dict[str, Any]) -> None:
    columns = dict(values)
    if "password_hash" in columns or columns.get("enabled") is False:
        columns["epoch"] = user.c.epoch + 1
    _find(connection, user_id)
    if columns:
        connection.execute(user.update().where(user.c.id == user_id).values(columns))


def _missing(user_id: str) -> NotFound:
    return NotFound(f"Could not find user: {user_id}.")
