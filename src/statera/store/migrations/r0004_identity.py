"""The first schema: the embedded identity.  Written by `tools/write_migration.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004_identity"
down_revision = "0003_network"
TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Create the tables; repeating it does no harm."""
    _identity_project()
    _identity_revoked_token()
    _identity_revoked_token_indexes()
    _identity_role()
    _identity_signing_key()
    _identity_user()
    _identity_application_credential()
    _identity_application_credential_indexes()
    _identity_assignment()
    _identity_assignment_indexes()
    _identity_application_credential_role()
    _identity_application_credential_role_indexes()


def _identity_project() -> None:
    op.create_table(
        "identity_project",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_project")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_project_domain_id_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_revoked_token() -> None:
    op.create_table(
        "identity_revoked_token",
        sa.Column("audit_id", sa.String(length=36), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_identity_revoked_token")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_revoked_token_indexes() -> None:
    op.create_index(
        op.f("ix_identity_revoked_token_expires_at"),
        "identity_revoked_token",
        ["expires_at"],
        unique=False,
        if_not_exists=True,
    )


def _identity_role() -> None:
    op.create_table(
        "identity_role",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_role")),
        sa.UniqueConstraint("name", name=op.f("uq_identity_role_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_signing_key() -> None:
    op.create_table(
        "identity_signing_key",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("needed_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_signing_key")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_user() -> None:
    op.create_table(
        "identity_user",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("domain_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=True),
        sa.Column("description", TEXT, nullable=True),
        sa.Column("email", sa.String(length=255), nullable=True),
        sa.Column("default_project_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_user")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_user_domain_id_name")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_application_credential() -> None:
    op.create_table(
        "identity_application_credential",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", TEXT, nullable=True),
        sa.Column("secret_hash", sa.String(length=255), nullable=False),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_project.id"],
            name=op.f("fk_identity_application_credential_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["identity_user.id"],
            name=op.f("fk_identity_application_credential_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_application_credential")),
        sa.UniqueConstraint(
            "user_id", "name", name=op.f("uq_identity_application_credential_user_id_name")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_application_credential_indexes() -> None:
    op.create_index(
        op.f("ix_identity_application_credential_project_id"),
        "identity_application_credential",
        ["project_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_identity_application_credential_user_id"),
        "identity_application_credential",
        ["user_id"],
        unique=False,
        if_not_exists=True,
    )


def _identity_assignment() -> None:
    op.create_table(
        "identity_assignment",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("role_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_project.id"],
            name=op.f("fk_identity_assignment_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["identity_role.id"],
            name=op.f("fk_identity_assignment_role_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["identity_user.id"],
            name=op.f("fk_identity_assignment_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "project_id", "role_id", name=op.f("pk_identity_assignment")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_assignment_indexes() -> None:
    op.create_index(
        op.f("ix_identity_assignment_project_id"),
        "identity_assignment",
        ["project_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_identity_assignment_role_id"),
        "identity_assignment",
        ["role_id"],
        unique=False,
        if_not_exists=True,
    )


def _identity_application_credential_role() -> None:
    op.create_table(
        "identity_application_credential_role",
        sa.Column("credential_id", sa.String(length=36), nullable=False),
        sa.Column("role_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["identity_application_credential.id"],
            name=op.f("fk_identity_application_credential_role_credential_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["identity_role.id"],
            name=op.f("fk_identity_application_credential_role_role_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "credential_id", "role_id", name=op.f("pk_identity_application_credential_role")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _identity_application_credential_role_indexes() -> None:
    op.create_index(
        op.f("ix_identity_application_credential_role_role_id"),
        "identity_application_credential_role",
        ["role_id"],
        unique=False,
        if_not_exists=True,
    )
