"""Tables of the embedded identity.

`epoch` of users and projects is what makes tokens die: a token carries the epochs at which it was
made, and a change of password or a disabling raises them.  A counter, because clocks step back.
"""

from __future__ import annotations

import sqlalchemy as sa

from statera.store.schema import metadata
from statera.store.types import OPTIONS, Id, Seconds, Text

user = sa.Table(
    "identity_user",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("domain_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("password_hash", sa.String(255)),
    sa.Column("description", Text),
    sa.Column("email", sa.String(255)),
    sa.Column("default_project_id", Id),
    sa.UniqueConstraint("domain_id", "name"),
    **OPTIONS,
)
"""`password_hash` null: nobody logs in as this user."""

project = sa.Table(
    "identity_project",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("domain_id", sa.String(64), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("description", Text, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.UniqueConstraint("domain_id", "name"),
    **OPTIONS,
)

role = sa.Table(
    "identity_role",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("description", Text),
    **OPTIONS,
)

assignment = sa.Table(
    "identity_assignment",
    metadata,
    sa.Column("user_id", Id, sa.ForeignKey(user.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column(
        "project_id",
        Id,
        sa.ForeignKey(project.c.id, ondelete="CASCADE"),
        primary_key=True,
        index=True,
    ),
    sa.Column(
        "role_id", Id, sa.ForeignKey(role.c.id, ondelete="CASCADE"), primary_key=True, index=True
    ),
    **OPTIONS,
)
"""A role given to a user on a project; roles that follow from it (`roles.closure`) have no row."""

credential = sa.Table(
    "identity_application_credential",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column(
        "user_id", Id, sa.ForeignKey(user.c.id, ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column(
        "project_id",
        Id,
        sa.ForeignKey(project.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", Text),
    sa.Column("secret_hash", sa.String(255), nullable=False),
    sa.Column("unrestricted", sa.Boolean, nullable=False),
    sa.Column("expires_at", Seconds),
    sa.UniqueConstraint("user_id", "name"),
    **OPTIONS,
)

credential_role = sa.Table(
    "identity_application_credential_role",
    metadata,
    sa.Column(
        "credential_id", Id, sa.ForeignKey(credential.c.id, ondelete="CASCADE"), primary_key=True
    ),
    sa.Column(
        "role_id", Id, sa.ForeignKey(role.c.id, ondelete="CASCADE"), primary_key=True, index=True
    ),
    **OPTIONS,
)
"""At most these roles does a token of the application credential have."""

revoked = sa.Table(
    "identity_revoked_token",
    metadata,
    sa.Column("audit_id", Id, primary_key=True),
    sa.Column("expires_at", Seconds, nullable=False, index=True),
    **OPTIONS,
)
"""Tokens revoked one by one, kept until they would have expired anyway."""

signing_key = sa.Table(
    "identity_signing_key",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("created_at", Seconds, nullable=False),
    sa.Column("needed_until", Seconds),
    **OPTIONS,
)
"""Fernet keys.  `needed_until` null: signs new tokens; else the time when the last token that the
key signed has expired."""
