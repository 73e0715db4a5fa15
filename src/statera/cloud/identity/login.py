"""Who is it, and for what: authentication methods and the scope of a new token."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from statera.cloud.identity.bodies import Auth, CredentialMethod, Methods, Scope, ScopedRef
from statera.cloud.identity.domains import DOMAIN_ID, is_ours
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.roles import granted
from statera.cloud.identity.tables import credential, project, user
from statera.cloud.identity.tokens import METHODS, Grant
from statera.lb.errors import Forbidden, InvalidInput, Unauthorized
from statera.store.types import now

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who proved who they are; `project_id` is fixed by an application credential."""

    user_id: str
    epoch: int
    methods: int
    expires_at: float | None = None
    parent: bytes | None = None
    credential_id: str | None = None
    project_id: str | None = None

    def joined(self, other: Principal) -> Principal:
        """Return who both are; raise `Unauthorized` when that is not one user."""
        if other.user_id != self.user_id or other.epoch != self.epoch:
            raise Unauthorized("The methods name different users")
        ends = [end for end in (self.expires_at, other.expires_at) if end is not None]
        return replace(
            self,
            methods=self.methods | other.methods,
            expires_at=min(ends, default=None),
            parent=self.parent or other.parent,
            credential_id=self.credential_id or other.credential_id,
            project_id=self.project_id or other.project_id,
        )


class Login:
    """Authenticates the body of POST /v3/auth/tokens."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def grant(self, auth: Auth, source: str) -> Grant:
        """Return what the new token is to say; `source` is the client's address.

        Raise `Unauthorized`, `TooManyRequests`, or `InvalidInput` for a body without sense.
        """
        found = [
            self._method(name, auth.identity, source)
            for name in dict.fromkeys(auth.identity.methods)
        ]
        principal = found[0]
        for other in found[1:]:
            principal = principal.joined(other)
        row = self._parts.database.read(
            lambda connection: _scoped(connection, principal, auth.scope)
        )
        return Grant(
            user_id=principal.user_id,
            user_epoch=principal.epoch,
            methods=principal.methods,
            project_id=row.id if row else None,
            project_epoch=row.epoch if row else 0,
            credential_id=principal.credential_id,
            expires_at=principal.expires_at,
            parent=principal.parent,
        )

    def check_password(self, row: sa.Row[Any] | None, password: str, key: tuple[str, str]) -> None:
        """Raise `Unauthorized` unless it is the password of `row`; `key`: source and user."""
        self._parts.throttle.check(*key)
        stored = row.password_hash if row else None
        if not self._parts.passwords.verify(stored, password) or row is None or not row.enabled:
            self._parts.throttle.failed(*key)
            raise Unauthorized("Wrong user or password")
        self._parts.throttle.succeeded(*key)

    def _method(self, name: str, methods: Methods, source: str) -> Principal:
        if name not in METHODS:
            raise Unauthorized(f"Unknown authentication method {name!r}")
        if name == "password" and methods.password:
            return self._password(methods.password.user, methods.password.user.password, source)
        if name == "token" and methods.token:
            return self._token(methods.token.id)
        if name == "application_credential" and methods.application_credential:
            return self._credential(methods.application_credential, source)
        raise InvalidInput(f"The method {name} is listed, but not given.")

    def _password(self, who: ScopedRef, password: str, source: str) -> Principal:
        row = self._parts.database.read(lambda connection: find_user(connection, who))
        self.check_password(row, password, (source, row.id if row else f"{who.id}/{who.name}"))
        assert row is not None  # noqa: S101 (check_password raised)
        if self._parts.passwords.outdated(row.password_hash):
            self._rehash(row, password)
        return Principal(row.id, row.epoch, _bit("password"))

    def _rehash(self, row: sa.Row[Any], password: str) -> None:
        hashed = self._parts.passwords.hash(password)
        statement = (
            user.update()
            .where(user.c.id == row.id, user.c.password_hash == row.password_hash)
            .values(password_hash=hashed)
        )
        self._parts.database.write(lambda connection: connection.execute(statement))

    def _token(self, token: str) -> Principal:
        verdict = self._parts.tokens.verify(token)
        if verdict.credential_id:
            raise Forbidden("A token of an application credential cannot be exchanged.")
        payload = verdict.payload
        return Principal(
            verdict.user_id,
            payload.user_epoch,
            payload.methods | _bit("token"),
            expires_at=payload.expires_at,
            parent=payload.parent or payload.audit,
        )

    def _credential(self, given: CredentialMethod, source: str) -> Principal:
        row = self._parts.database.read(lambda connection: _find_credential(connection, given))
        key = (source, f"credential/{row.id if row else given.id or given.name}")
        self._parts.throttle.check(*key)
        right = self._parts.passwords.verify(row.secret_hash if row else None, given.secret)
        if not right or row is None or not row.enabled or _ended(row):
            self._parts.throttle.failed(*key)
            raise Unauthorized("Wrong application credential")
        self._parts.throttle.succeeded(*key)
        return Principal(
            row.user_id,
            row.epoch,
            _bit("application_credential"),
            expires_at=row.expires_at,
            credential_id=row.id,
            project_id=row.project_id,
        )


def find_user(connection: Connection, who: ScopedRef) -> sa.Row[Any] | None:
    """Return the user's row, None for an unknown one."""
    if who.id is not None:
        return connection.execute(sa.select(user).where(user.c.id == who.id)).first()
    if who.name is None:
        raise InvalidInput("A user is named by id, or by name and domain.")
    if not is_ours(who.domain):
        return None
    statement = sa.select(user).where(user.c.domain_id == DOMAIN_ID, user.c.name == who.name)
    return connection.execute(statement).first()


def _bit(method: str) -> int:
    return 1 << METHODS.index(method)


def _ended(row: sa.Row[Any]) -> bool:
    return row.expires_at is not None and row.expires_at <= row.time


def _find_credential(connection: Connection, given: CredentialMethod) -> sa.Row[Any] | None:
    statement = sa.select(credential, user.c.enabled, user.c.epoch, now().label("time")).join(
        user, user.c.id == credential.c.user_id
    )
    if given.id is not None:
        return connection.execute(statement.where(credential.c.id == given.id)).first()
    if given.name is None or given.user is None:
        raise InvalidInput("An application credential is named by id, or by name and user.")
    owner = find_user(connection, given.user)
    if owner is None:
        return None
    return connection.execute(
        statement.where(credential.c.user_id == owner.id, credential.c.name == given.name)
    ).first()


def _scoped(
    connection: Connection, principal: Principal, scope: Scope | str | None
) -> sa.Row[Any] | None:
    """Return the project's row, None for an unscoped token."""
    wanted = _wanted(scope)
    if principal.credential_id is not None:
        if scope is not None:
            raise Unauthorized("Application credentials cannot request a scope")
        return _project(connection, ScopedRef(id=principal.project_id), principal.user_id)
    if wanted is not None:
        return _project(connection, wanted, principal.user_id)
    if scope is not None:
        return None
    usual = connection.scalar(
        sa.select(user.c.default_project_id).where(user.c.id == principal.user_id)
    )
    if usual is None:
        return None
    try:
        return _project(connection, ScopedRef(id=usual), principal.user_id)
    except Unauthorized:
        return None  # as Keystone: a default that leads nowhere gives an unscoped token


def _wanted(scope: Scope | str | None) -> ScopedRef | None:
    """Return the project that the scope names, None for none; refuse scopes that we lack."""
    if scope is None or isinstance(scope, str):
        return None
    given = [name for name in scope.__struct_fields__ if getattr(scope, name) is not msgspec.UNSET]
    if len(given) != 1:
        raise InvalidInput("The scope must name exactly one of project, domain, system, unscoped.")
    if given[0] in ("domain", "system"):
        raise Unauthorized(f"Roles are given on projects only, not on a {given[0]}")
    return scope.project or None


def _project(connection: Connection, wanted: ScopedRef, user_id: str) -> sa.Row[Any]:
    statement = sa.select(project)
    if wanted.id is not None:
        statement = statement.where(project.c.id == wanted.id)
    elif wanted.name is None:
        raise InvalidInput("A project is named by id, or by name and domain.")
    elif not is_ours(wanted.domain):
        raise Unauthorized("Unknown domain")
    else:
        statement = statement.where(project.c.domain_id == DOMAIN_ID, project.c.name == wanted.name)
    row = connection.execute(statement).first()
    if row is None or not row.enabled or not granted(connection, user_id, row.id):
        raise Unauthorized("No role on the project")
    return row
