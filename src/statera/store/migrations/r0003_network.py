"""The first schema: the embedded network.  Written by `tools/write_migration.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003_network"
down_revision = "0002_placement"
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    """Create the tables; repeating it does no harm."""
    _network_guard()
    _network_network()
    _network_network_indexes()
    _network_port()
    _network_port_indexes()
    _network_subnet()
    _network_subnet_indexes()
    _network_address()
    _network_address_indexes()


def _network_guard() -> None:
    op.create_table(
        "network_guard",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_network_guard")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _network_network() -> None:
    op.create_table(
        "network_network",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("mtu", sa.Integer(), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_network")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _network_network_indexes() -> None:
    op.create_index(
        op.f("ix_network_network_project_id"),
        "network_network",
        ["project_id"],
        unique=False,
        if_not_exists=True,
    )


def _network_port() -> None:
    op.create_table(
        "network_port",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("mac_address", sa.String(length=17), nullable=False),
        sa.Column("device_id", sa.String(length=255), nullable=False),
        sa.Column("device_owner", sa.String(length=255), nullable=False),
        sa.Column("bound", sa.String(length=8), nullable=False),
        sa.Column("allowed_address_pairs", sa.JSON(), nullable=False),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network_network.id"], name=op.f("fk_network_port_network_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_port")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _network_port_indexes() -> None:
    op.create_index(
        op.f("ix_network_port_device_id"),
        "network_port",
        ["device_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_network_port_network_id"),
        "network_port",
        ["network_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_network_port_project_id"),
        "network_port",
        ["project_id"],
        unique=False,
        if_not_exists=True,
    )


def _network_subnet() -> None:
    op.create_table(
        "network_subnet",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("cidr", sa.String(length=64), nullable=False),
        sa.Column("first", sa.String(length=32), nullable=False),
        sa.Column("last", sa.String(length=32), nullable=False),
        sa.Column("gateway_ip", sa.String(length=64), nullable=True),
        sa.Column("enable_dhcp", sa.Boolean(), nullable=False),
        sa.Column("allocation_pools", sa.JSON(), nullable=False),
        sa.Column("host_routes", sa.JSON(), nullable=False),
        sa.Column("dns_nameservers", sa.JSON(), nullable=False),
        sa.Column("last_allocated", sa.String(length=32), nullable=True),
        sa.Column("revision_number", sa.BigInteger(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network_network.id"], name=op.f("fk_network_subnet_network_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_subnet")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _network_subnet_indexes() -> None:
    op.create_index(
        op.f("ix_network_subnet_first"),
        "network_subnet",
        ["first"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_network_subnet_network_id"),
        "network_subnet",
        ["network_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_network_subnet_project_id"),
        "network_subnet",
        ["project_id"],
        unique=False,
        if_not_exists=True,
    )


def _network_address() -> None:
    op.create_table(
        "network_address",
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("ordinal", sa.String(length=32), nullable=False),
        sa.Column("port_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ip_address", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"], ["network_port.id"], name=op.f("fk_network_address_port_id")
        ),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["network_subnet.id"], name=op.f("fk_network_address_subnet_id")
        ),
        sa.PrimaryKeyConstraint("subnet_id", "ordinal", name=op.f("pk_network_address")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _network_address_indexes() -> None:
    op.create_index(
        op.f("ix_network_address_ip_address"),
        "network_address",
        ["ip_address"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_network_address_port_id"),
        "network_address",
        ["port_id"],
        unique=False,
        if_not_exists=True,
    )
