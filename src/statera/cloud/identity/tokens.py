"""Tokens: what they carry, and the one statement that tells whether they still hold.

A token is a Fernet token (AES-CBC and HMAC-SHA256) around a small MsgPack array.  It names a user,
a project and the epochs at which it was made; rights are not in it: they are read at each use, so
nothing that was taken away lives on in a token.
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from oslo_db.exception import DBDuplicateEntry
from sqlalchemy.engine import Connection

from statera.cloud.identity.keys import KeyRing
from statera.cloud.identity.roles import ADMIN, closure
from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.tables import (
    assignment,
    credential,
    credential_role,
    project,
    revoked,
    role,
    signing_key,
    user,
)
from statera.lb.errors import Unauthorized
from statera.store.database import Database
from statera.store.types import Id, now

METHODS = ("password", "token", "application_credential")
"""Ways to authenticate; a token keeps them as bits in this order."""


class Payload(msgspec.Struct, array_like=True, frozen=True):
    """What a token carries: ids as 16 bytes, times in seconds since 1970."""

    version: Literal[1]
    audit: bytes
    parent: bytes | None
    user: bytes
    project: bytes | None
    credential: bytes | None
    methods: int
    issued_at: float
    expires_at: float
    user_epoch: int
    project_epoch: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A token that holds, and the roles that it gives now."""

    payload: Payload
    roles: frozenset[str]

    @property
    def user_id(self) -> str:
        """The user's id."""
        return self.payload.user.hex()

    @property
    def project_id(self) -> str | None:
        """The project's id, None for an unscoped token."""
        return self.payload.project.hex() if self.payload.project else None

    @property
    def credential_id(self) -> str | None:
        """The application credential's id, if one was used."""
        return self.payload.credential.hex() if self.payload.credential else None

    @property
    def audit_id(self) -> str:
        """The name of the token in logs and in the list of revoked tokens."""
        return audit_text(self.payload.audit)

    @property
    def is_admin(self) -> bool:
        """Whether the caller administers the installation."""
        return ADMIN in self.roles

    @property
    def methods(self) -> list[str]:
        """The ways in which the user authenticated."""
        return [name for bit, name in enumerate(METHODS) if self.payload.methods >> bit & 1]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a new token is to say.  `expires_at` bounds its life, if given."""

    user_id: str
    user_epoch: int
    methods: int
    project_id: str | None = None
    project_epoch: int = 0
    credential_id: str | None = None
    expires_at: float | None = None
    parent: bytes | None = None


def audit_text(audit: bytes) -> str:
    """Return an audit id as clients see it: 22 characters."""
    return base64.urlsafe_b64encode(audit).rstrip(b"=").decode()


def _bytes(identifier: str | None) -> bytes | None:
    return uuid.UUID(identifier).bytes if identifier else None


def _statement(*, limited: bool) -> sa.Select[*tuple[Any, ...]]:
    """One row for each role assigned (times each role of the application credential)."""
    source = (
        user.outerjoin(project, project.c.id == sa.bindparam("project", type_=Id))
        .outerjoin(
            assignment,
            sa.and_(assignment.c.user_id == user.c.id, assignment.c.project_id == project.c.id),
        )
        .outerjoin(role, role.c.id == assignment.c.role_id)
    )
    cap: sa.ColumnElement[Any] = sa.null()
    if limited:
        allowed = role.alias("allowed")
        cap = allowed.c.name
        named = credential.c.id == sa.bindparam("credential", type_=Id)
        source = (
            source.join(credential, sa.and_(named, credential.c.user_id == user.c.id))
            .outerjoin(credential_role, credential_role.c.credential_id == credential.c.id)
            .outerjoin(allowed, allowed.c.id == credential_role.c.role_id)
        )
    return (
        sa.select(
            user.c.enabled,
            user.c.epoch,
            project.c.enabled.label("project_enabled"),
            project.c.epoch.label("project_epoch"),
            role.c.name,
            cap.label("cap"),
            sa.exists().where(revoked.c.audit_id == sa.bindparam("audit", type_=Id)),
            now().label("time"),
        )
        .select_from(source)
        .where(
            user.c.id == sa.bindparam("user", type_=Id),
            sa.exists().where(signing_key.c.id == sa.bindparam("key", type_=Id)),
        )
    )


_PLAIN = _statement(limited=False)
_LIMITED = _statement(limited=True)
_DECODER = msgspec.msgpack.Decoder(Payload)


class Tokens:
    """Issues, checks and revokes tokens."""

    def __init__(self, database: Database, settings: IdentitySettings) -> None:
        self._database = database
        self._settings = settings
        self._keys = KeyRing(database, settings)

    def issue(self, grant: Grant) -> tuple[str, Payload]:
        """Return a new token and what it carries."""
        key, time = self._keys.signer()
        expires_at = time + self._settings.token_lifetime
        payload = Payload(
            version=1,
            audit=secrets.token_bytes(16),
            parent=grant.parent,
            user=uuid.UUID(grant.user_id).bytes,
            project=_bytes(grant.project_id),
            credential=_bytes(grant.credential_id),
            methods=grant.methods,
            issued_at=time,
            expires_at=min(expires_at, grant.expires_at or expires_at),
            user_epoch=grant.user_epoch,
            project_epoch=grant.project_epoch,
        )
        return key.fernet.encrypt(msgspec.msgpack.encode(payload)).decode(), payload

    def verify(self, token: str) -> Verdict:
        """Return what `token` gives now; raise `Unauthorized` when it does not hold."""
        key_id, plain = self._keys.open(token)
        try:
            payload = _DECODER.decode(plain)
        except msgspec.DecodeError:
            raise Unauthorized("Unrecognized token") from None
        values = {
            "user": payload.user.hex(),
            "project": payload.project.hex() if payload.project else "",
            "audit": audit_text(payload.audit),
            "key": key_id,
        }
        statement = _PLAIN
        if payload.credential:
            statement = _LIMITED
            values["credential"] = payload.credential.hex()

        def work(connection: Connection) -> Sequence[sa.Row[*tuple[Any, ...]]]:
            return connection.execute(statement, values).all()

        return Verdict(payload, _judge(payload, self._database.read(work)))

    def revoke(self, verdict: Verdict) -> None:
        """Make the token worthless from this moment on."""

        def work(connection: Connection) -> None:
            connection.execute(revoked.delete().where(revoked.c.expires_at < now()))
            known = sa.select(revoked.c.audit_id).where(revoked.c.audit_id == verdict.audit_id)
            if connection.scalar(known) is None:
                connection.execute(
                    revoked.insert().values(
                        audit_id=verdict.audit_id, expires_at=verdict.payload.expires_at
                    )
                )

        with suppress(DBDuplicateEntry):  # somebody else revokes it at the same moment
            self._database.write(work)


def _judge(payload: Payload, rows: Sequence[sa.Row[*tuple[Any, ...]]]) -> frozenset[str]:
    """Return the roles; raise `Unauthorized` when the token no longer holds."""
    if not rows:
        raise Unauthorized("The user, the key or the credential of the token is gone")
    enabled, epoch, project_enabled, project_epoch, _, _, dead, time = rows[0]
    if dead or not enabled or epoch != payload.user_epoch or payload.expires_at <= time:
        raise Unauthorized("The token is no longer valid")
    if payload.project is None:
        return frozenset()
    if not project_enabled or project_epoch != payload.project_epoch:
        raise Unauthorized("The token is no longer valid")
    names = closure(frozenset(row[4] for row in rows if row[4] is not None))
    if payload.credential:
        names &= closure(frozenset(row[5] for row in rows if row[5] is not None))
    if not names:
        raise Unauthorized("No role is left on the project")
    return names
