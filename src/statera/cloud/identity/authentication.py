"""POST, GET, HEAD and DELETE of /v3/auth/tokens, and what the caller can log in to."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import falcon
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.identity.bodies import AuthBody
from statera.cloud.identity.domains import DOMAIN
from statera.cloud.identity.login import Login
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.projects import shown
from statera.cloud.identity.tables import assignment, credential, project, role, user
from statera.cloud.identity.tokens import Verdict, audit_text
from statera.cloud.identity.wire import caller, collection, flag, read, reply, require_admin
from statera.lb.errors import InvalidInput, NotFound, Unauthorized

LOG = logging.getLogger(__name__)


def moment(seconds: float) -> str:
    """Return a time as Keystone writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class TokensApi:
    """Issue, show, check and revoke tokens.

    POST is open to all, so the others ask for the caller's token themselves.
    """

    open_to_all = True

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._login = Login(parts)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Log in."""
        grant = self._login.grant(read(req, AuthBody).auth, req.remote_addr)
        token, payload = self._parts.tokens.issue(grant)
        verdict = self._parts.tokens.verify(token)
        resp.set_header("X-Subject-Token", token)
        reply(resp, self._body(req, verdict), falcon.HTTP_201)
        LOG.info(
            "identity.token.issued user=%s project=%s token=%s",
            grant.user_id,
            grant.project_id,
            audit_text(payload.audit),
        )

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the subject token."""
        _, subject = self._subject(req)
        resp.set_header("X-Subject-Token", req.get_header("X-Subject-Token") or "")
        reply(resp, self._body(req, subject))

    def on_head(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Tell whether the subject token holds."""
        self._subject(req)
        resp.status = falcon.HTTP_200

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Revoke the subject token."""
        actor, subject = self._subject(req)
        self._parts.tokens.revoke(subject)
        resp.status = falcon.HTTP_204
        LOG.info("identity.token.revoked token=%s by=%s", subject.audit_id, actor.user_id)

    def _subject(self, req: falcon.Request) -> tuple[Verdict, Verdict]:
        """Return the caller and the subject; only administrators see other users' tokens."""
        own, token = req.get_header("X-Auth-Token"), req.get_header("X-Subject-Token")
        if not own:
            raise Unauthorized("No token")
        req.context.verdict = self._parts.tokens.verify(own)
        if not token:
            raise InvalidInput("The header X-Subject-Token is missing.")
        try:
            subject = self._parts.tokens.verify(token)
        except Unauthorized:
            raise NotFound("Could not find token.") from None
        if subject.user_id != caller(req).user_id:
            require_admin(req)
        return caller(req), subject

    def _body(self, req: falcon.Request, verdict: Verdict) -> dict[str, Any]:
        body = self._parts.database.read(lambda connection: _token(connection, verdict))
        if verdict.project_id and not flag(req, "nocatalog"):
            body["catalog"] = self._parts.catalog.body()
        return {"token": body}


class MineApi:
    """GET /v3/auth/projects and /v3/auth/catalog."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def on_get_projects(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List the projects that the caller can log in to."""
        rows = self._parts.database.read(
            lambda connection: reachable(connection, caller(req).user_id)
        )
        reply(resp, collection(req, "projects", rows))

    def on_get_catalog(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the catalogue."""
        link = {"self": f"{req.prefix}/v3/auth/catalog", "next": None, "previous": None}
        reply(resp, {"catalog": self._parts.catalog.body(), "links": link})


def reachable(connection: Connection, user_id: str) -> list[dict[str, Any]]:
    """Return the enabled projects on which the user has a role."""
    mine = sa.select(assignment.c.project_id).where(assignment.c.user_id == user_id)
    statement = (
        sa.select(project)
        .where(project.c.id.in_(mine), project.c.enabled.is_(True))
        .order_by(project.c.name)
    )
    return [shown(row) for row in connection.execute(statement)]


def _token(connection: Connection, verdict: Verdict) -> dict[str, Any]:
    payload = verdict.payload
    audits = [payload.audit, payload.parent] if payload.parent else [payload.audit]
    name = connection.scalar(sa.select(user.c.name).where(user.c.id == verdict.user_id))
    body: dict[str, Any] = {
        "methods": verdict.methods,
        "user": {
            "id": verdict.user_id,
            "name": name,
            "domain": DOMAIN,
            "password_expires_at": None,
        },
        "audit_ids": [audit_text(audit) for audit in audits],
        "issued_at": moment(payload.issued_at),
        "expires_at": moment(payload.expires_at),
    }
    if verdict.project_id:
        title = sa.select(project.c.name).where(project.c.id == verdict.project_id)
        body["project"] = {
            "id": verdict.project_id,
            "name": connection.scalar(title),
            "domain": DOMAIN,
        }
        body["is_domain"] = False
        roles = sa.select(role.c.id, role.c.name).where(role.c.name.in_(sorted(verdict.roles)))
        body["roles"] = [
            {"id": row.id, "name": row.name}
            for row in connection.execute(roles.order_by(role.c.name))
        ]
    if verdict.credential_id:
        row = connection.execute(
            sa.select(credential).where(credential.c.id == verdict.credential_id)
        ).first()
        if row is not None:
            body["application_credential"] = {
                "id": row.id,
                "name": row.name,
                "restricted": not row.unrestricted,
            }
    return body
