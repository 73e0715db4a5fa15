"""Application credentials: a secret of its own for a program, for one project and some roles."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import falcon
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.identity.bodies import CredentialCreate, CredentialCreateBody, Ref
from statera.cloud.identity.domains import DOMAIN_ID
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.roles import granted
from statera.cloud.identity.tables import credential, credential_role, role
from statera.cloud.identity.tokens import Verdict
from statera.cloud.identity.wire import (
    caller,
    collection,
    filters,
    read,
    refusing,
    reply,
    require_self,
)
from statera.lb.errors import Forbidden, InvalidInput, NotFound
from statera.store.types import now

LOG = logging.getLogger(__name__)


class CredentialsApi:
    """/v3/users/{user_id}/application_credentials."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.database
        self._passwords = parts.passwords

    def on_get(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """List the user's application credentials."""
        require_self(req, user_id)
        where = [credential.c.user_id == user_id, *filters(req, credential, ("id", "name"))]
        rows = self._database.read(lambda connection: _load(connection, where))
        path = f"users/{user_id}/application_credentials"
        reply(resp, collection(req, "application_credentials", rows, path))

    def on_post(self, req: falcon.Request, resp: falcon.Response, user_id: str) -> None:
        """Create one for the token's project; only this answer shows the secret."""
        verdict = caller(req)
        if verdict.user_id != user_id:
            raise Forbidden("Application credentials are made by their own user only.")
        self._refuse_restricted(verdict)
        wish = read(req, CredentialCreateBody).application_credential
        if verdict.project_id is None:
            raise InvalidInput("An application credential needs a token of a project.")
        if wish.access_rules:
            raise InvalidInput("Access rules are not supported.")
        secret = wish.secret or secrets.token_urlsafe(48)
        values = {
            "id": uuid.uuid4().hex,
            "user_id": user_id,
            "project_id": verdict.project_id,
            "name": wish.name,
            "description": wish.description,
            "secret_hash": self._passwords.hash(secret),
            "unrestricted": wish.unrestricted,
            "expires_at": _seconds(wish.expires_at),
        }
        with refusing(f"There is an application credential named {wish.name} already."):
            self._database.write(lambda connection: _create(connection, verdict, values, wish))
        LOG.info("identity.application_credential.created id=%s user=%s", values["id"], user_id)
        body = self._one(user_id, str(values["id"]))
        link = {"self": f"{req.uri}/{values['id']}"}
        body = {**body, "secret": secret, "links": link}
        reply(resp, {"application_credential": body}, falcon.HTTP_201)

    def on_get_one(
        self, req: falcon.Request, resp: falcon.Response, user_id: str, credential_id: str
    ) -> None:
        """Show one."""
        require_self(req, user_id)
        body = {**self._one(user_id, credential_id), "links": {"self": req.uri}}
        reply(resp, {"application_credential": body})

    def on_delete_one(
        self, req: falcon.Request, resp: falcon.Response, user_id: str, credential_id: str
    ) -> None:
        """Delete one; its tokens die at once."""
        self._refuse_restricted(require_self(req, user_id))
        statement = credential.delete().where(
            credential.c.id == credential_id, credential.c.user_id == user_id
        )
        gone = self._database.write(lambda connection: connection.execute(statement).rowcount)
        if not gone:
            raise _missing(credential_id)
        resp.status = falcon.HTTP_204
        LOG.info("identity.application_credential.deleted id=%s user=%s", credential_id, user_id)

    def _one(self, user_id: str, credential_id: str) -> dict[str, Any]:
        where = [credential.c.id == credential_id, credential.c.user_id == user_id]
        rows = self._database.read(lambda connection: _load(connection, where))
        if not rows:
            raise _missing(credential_id)
        return rows[0]

    def _refuse_restricted(self, verdict: Verdict) -> None:
        """Raise `Forbidden` for an application credential that must not make or delete others."""
        if verdict.credential_id is None:
            return
        statement = sa.select(credential.c.unrestricted).where(
            credential.c.id == verdict.credential_id
        )
        if not self._database.read(lambda connection: connection.scalar(statement)):
            raise Forbidden("A restricted application credential cannot manage others.")


def _create(
    connection: Connection, verdict: Verdict, values: dict[str, Any], wish: CredentialCreate
) -> None:
    if values["expires_at"] is not None:
        time = connection.scalar(sa.select(now()))
        if time is None or values["expires_at"] <= time:
            raise InvalidInput("expires_at lies in the past.")
    allowed = _roles(connection, verdict, wish.roles)
    connection.execute(credential.insert().values(values))
    rows = [{"credential_id": values["id"], "role_id": role_id} for role_id in allowed]
    connection.execute(credential_role.insert(), rows)


def _roles(connection: Connection, verdict: Verdict, wanted: Iterable[Ref] | None) -> list[str]:
    """Return ids of the roles wished for, all of the token's by default.

    Raise `InvalidInput` for one that the token does not give: nobody hands on more than they have.
    """
    names = verdict.roles & granted(connection, verdict.user_id, verdict.project_id or "")
    rows = connection.execute(
        sa.select(role.c.id, role.c.name).where(role.c.name.in_(sorted(names)))
    ).all()
    if wanted is None:
        found = {row.id for row in rows}
    else:
        by_id, by_name = {row.id: row.id for row in rows}, {row.name: row.id for row in rows}
        found = set()
        for reference in wanted:
            given = reference.id or reference.name or ""
            role_id = by_id.get(given) if reference.id else by_name.get(given)
            if role_id is None:
                raise InvalidInput(f"The token does not give the role {given}.")
            found.add(role_id)
    if not found:
        raise InvalidInput("An application credential needs a role.")
    return sorted(found)


def _load(connection: Connection, where: list[sa.ColumnElement[bool]]) -> list[dict[str, Any]]:
    rows = connection.execute(sa.select(credential).where(*where).order_by(credential.c.name)).all()
    statement = (
        sa.select(credential_role.c.credential_id, role.c.id, role.c.name)
        .join(role, role.c.id == credential_role.c.role_id)
        .where(credential_role.c.credential_id.in_([row.id for row in rows]))
        .order_by(role.c.name)
    )
    roles: dict[str, list[dict[str, Any]]] = {row.id: [] for row in rows}
    for row in connection.execute(statement):
        roles[row.credential_id].append({"id": row.id, "name": row.name, "domain_id": None})
    return [_shown(row, roles[row.id]) for row in rows]


def _shown(row: sa.Row[Any], roles: list[dict[str, Any]]) -> dict[str, Any]:
    end = None if row.expires_at is None else datetime.fromtimestamp(row.expires_at, UTC)
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "project_domain_id": DOMAIN_ID,
        "roles": roles,
        "unrestricted": row.unrestricted,
        "expires_at": end.strftime("%Y-%m-%dT%H:%M:%S.%f") if end else None,
        "system": None,
    }


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        end = datetime.fromisoformat(text)
        return (end if end.tzinfo else end.replace(tzinfo=UTC)).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput("expires_at is no time in ISO 8601.") from None


def _missing(credential_id: str) -> NotFound:
    return NotFound(f"Could not find application credential: {credential_id}.")
