"""The first user, made once: what an empty installation needs before anybody can log in."""

from __future__ import annotations

import logging
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_errors
from sqlalchemy.engine import Connection

from statera.cloud.identity.domains import DOMAIN_ID
from statera.cloud.identity.keys import KeyRing
from statera.cloud.identity.passwords import Passwords
from statera.cloud.identity.roles import ADMIN, BUILT_IN
from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.tables import assignment, project, role, user
from statera.store.database import Database

LOG = logging.getLogger(__name__)

_PROJECTS = {"admin": "Administration of this installation", "demo": "For first steps"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the administrator logs in; `password` is None when the user was there before."""

    auth_url: str
    username: str
    password: str | None = field(repr=False)
    project_name: str
    domain_id: str
    region: str


def bootstrap(
    database: Database, settings: IdentitySettings, password: str | None = None
) -> Credentials:
    """Make what is missing of roles, projects, the user `admin` and the signing key.

    Any number of calls is like one, at the same time too; what is there is left as it is, an
    installation that has an administrator keeps those it has (`admin` may be gone on purpose), and
    `password` (default: a random one) counts for a new user only.  A caller that chooses the
    password and stores it first cannot lose it by a crash in between.
    """
    chosen = password or secrets.token_urlsafe(24)
    hashed = Passwords(settings).hash(chosen)
    try:
        made = database.write(lambda connection: _install(connection, hashed))
    except db_errors.DBDuplicateEntry:  # another process was at it; now everything is there
        made = database.write(lambda connection: _install(connection, hashed))
    KeyRing(database, settings).signer()
    if made:
        LOG.info("identity.installed user=admin")
    return Credentials(
        auth_url=f"{settings.public_url.rstrip('/')}/identity/v3",
        username="admin",
        password=chosen if made else None,
        project_name="admin",
        domain_id=DOMAIN_ID,
        region=settings.region,
    )


def _install(connection: Connection, hashed: str) -> bool:
    """Insert what is missing; tell whether the user was."""
    roles = {name: _ensure(connection, role, {"name": name})[0] for name in BUILT_IN}
    if _administered(connection):
        return False
    scoped = {"domain_id": DOMAIN_ID, "enabled": True, "epoch": 1}
    user_id, made = _ensure(connection, user, {"name": "admin", "password_hash": hashed, **scoped})
    for name, description in _PROJECTS.items():
        values = {"name": name, "description": description, "tags": [], **scoped}
        project_id, fresh = _ensure(connection, project, values)
        if made or fresh:
            _grant(connection, user_id, project_id, roles[ADMIN])
    return made


def _administered(connection: Connection) -> bool:
    statement = (
        sa.select(assignment.c.user_id)
        .join(role, sa.and_(role.c.id == assignment.c.role_id, role.c.name == ADMIN))
        .join(user, sa.and_(user.c.id == assignment.c.user_id, user.c.enabled.is_(True)))
        .join(project, project.c.id == assignment.c.project_id)
        .where(project.c.enabled.is_(True))
    )
    return connection.execute(statement.limit(1)).first() is not None


def _ensure(connection: Connection, table: sa.Table, values: dict[str, Any]) -> tuple[str, bool]:
    """Return the id of the row of that name, and whether it had to be made."""
    statement = sa.select(table.c.id).where(table.c.name == values["name"])
    if "domain_id" in values:
        statement = statement.where(table.c.domain_id == values["domain_id"])
    found = connection.scalar(statement)
    if found is not None:
        return str(found), False
    made = uuid.uuid4().hex
    connection.execute(table.insert().values(id=made, **values))
    return made, True


def _grant(connection: Connection, user_id: str, project_id: str, role_id: str) -> None:
    values = {"user_id": user_id, "project_id": project_id, "role_id": role_id}
    held = sa.select(assignment.c.role_id).where(
        *(assignment.c[column] == value for column, value in values.items())
    )
    if connection.scalar(held) is None:
        connection.execute(assignment.insert().values(values))
