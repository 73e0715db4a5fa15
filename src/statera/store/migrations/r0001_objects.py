"""The first schema: what the API shows.  Written by `tools/write_migration.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001_objects"
down_revision = None
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Create the tables; repeating it does no harm."""
    _additional_vip()
    _health_monitor()
    _health_monitor_indexes()
    _listener()
    _listener_indexes()
    _load_balancer()
    _load_balancer_indexes()
    _member()
    _member_indexes()
    _pool()
    _pool_indexes()
    _tag()


def _additional_vip() -> None:
    op.create_table(
        "additional_vip",
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("network_id", sa.String(length=36), nullable=True),
        sa.Column("ip_address", sa.String(length=64), nullable=True),
        sa.Column("port_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("load_balancer_id", "subnet_id", name=op.f("pk_additional_vip")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _health_monitor() -> None:
    op.create_table(
        "health_monitor",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("pending_since", sa.Double(), nullable=True),
        sa.Column("live", sa.SmallInteger(), nullable=True),
        sa.Column("fault", TEXT, nullable=True),
        sa.Column("fault_generation", sa.BigInteger(), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("delay", sa.BigInteger(), nullable=False),
        sa.Column("timeout", sa.BigInteger(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("max_retries_down", sa.Integer(), nullable=False),
        sa.Column("http_method", sa.String(length=16), nullable=True),
        sa.Column("url_path", sa.String(length=2048), nullable=True),
        sa.Column("expected_codes", sa.String(length=64), nullable=True),
        sa.Column("http_version", sa.Double(), nullable=True),
        sa.Column("domain_name", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_monitor")),
        sa.UniqueConstraint("pool_id", "live", name=op.f("uq_health_monitor_pool_id_live")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _health_monitor_indexes() -> None:
    op.create_index(
        op.f("ix_health_monitor_load_balancer_id"),
        "health_monitor",
        ["load_balancer_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_health_monitor_project_id_created_at_id"),
        "health_monitor",
        ["project_id", "created_at", "id"],
        unique=False,
        if_not_exists=True,
    )


def _listener() -> None:
    op.create_table(
        "listener",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("pending_since", sa.Double(), nullable=True),
        sa.Column("live", sa.SmallInteger(), nullable=True),
        sa.Column("fault", TEXT, nullable=True),
        sa.Column("fault_generation", sa.BigInteger(), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("protocol_port", sa.Integer(), nullable=False),
        sa.Column("port_space", sa.String(length=8), nullable=False),
        sa.Column("connection_limit", sa.BigInteger(), nullable=False),
        sa.Column("default_pool_id", sa.String(length=36), nullable=True),
        sa.Column("default_tls_container_ref", sa.String(length=255), nullable=True),
        sa.Column("sni_container_refs", sa.JSON(), nullable=False),
        sa.Column("insert_headers", sa.JSON(), nullable=False),
        sa.Column("timeout_client_data", sa.BigInteger(), nullable=False),
        sa.Column("timeout_member_connect", sa.BigInteger(), nullable=False),
        sa.Column("timeout_member_data", sa.BigInteger(), nullable=False),
        sa.Column("timeout_tcp_inspect", sa.BigInteger(), nullable=False),
        sa.Column("client_ca_tls_container_ref", sa.String(length=255), nullable=True),
        sa.Column("client_authentication", sa.String(length=16), nullable=False),
        sa.Column("client_crl_container_ref", sa.String(length=255), nullable=True),
        sa.Column("allowed_cidrs", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("tls_ciphers", sa.String(length=2048), nullable=True),
        sa.Column("tls_versions", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("alpn_protocols", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("hsts_max_age", sa.BigInteger(), nullable=True),
        sa.Column("hsts_include_subdomains", sa.Boolean(), nullable=False),
        sa.Column("hsts_preload", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listener")),
        sa.UniqueConstraint(
            "load_balancer_id",
            "port_space",
            "protocol_port",
            "live",
            name=op.f("uq_listener_load_balancer_id_port_space_protocol_port_live"),
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _listener_indexes() -> None:
    op.create_index(
        op.f("ix_listener_default_pool_id"),
        "listener",
        ["default_pool_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_listener_load_balancer_id"),
        "listener",
        ["load_balancer_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_listener_project_id_created_at_id"),
        "listener",
        ["project_id", "created_at", "id"],
        unique=False,
        if_not_exists=True,
    )


def _load_balancer() -> None:
    op.create_table(
        "load_balancer",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("pending_since", sa.Double(), nullable=True),
        sa.Column("live", sa.SmallInteger(), nullable=True),
        sa.Column("fault", TEXT, nullable=True),
        sa.Column("fault_generation", sa.BigInteger(), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("topology", sa.String(length=32), nullable=False),
        sa.Column("flavor_id", sa.String(length=36), nullable=True),
        sa.Column("availability_zone", sa.String(length=255), nullable=True),
        sa.Column("vip_address", sa.String(length=64), nullable=True),
        sa.Column("vip_port_id", sa.String(length=36), nullable=True),
        sa.Column("vip_port_owned", sa.Boolean(), nullable=False),
        sa.Column("vip_subnet_id", sa.String(length=36), nullable=True),
        sa.Column("vip_network_id", sa.String(length=36), nullable=True),
        sa.Column("vip_qos_policy_id", sa.String(length=36), nullable=True),
        sa.Column("vip_sg_ids", sa.JSON(), nullable=False),
        sa.Column("vip_vnic_type", sa.String(length=16), nullable=False),
        sa.Column("reserved_until", sa.Double(), nullable=True),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_load_balancer")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _load_balancer_indexes() -> None:
    op.create_index(
        op.f("ix_load_balancer_project_id_created_at_id"),
        "load_balancer",
        ["project_id", "created_at", "id"],
        unique=False,
        if_not_exists=True,
    )


def _member() -> None:
    op.create_table(
        "member",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("pending_since", sa.Double(), nullable=True),
        sa.Column("live", sa.SmallInteger(), nullable=True),
        sa.Column("fault", TEXT, nullable=True),
        sa.Column("fault_generation", sa.BigInteger(), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("pool_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("protocol_port", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("backup", sa.Boolean(), nullable=False),
        sa.Column("subnet_id", sa.String(length=36), nullable=True),
        sa.Column("monitor_address", sa.String(length=64), nullable=True),
        sa.Column("monitor_port", sa.Integer(), nullable=True),
        sa.Column("vnic_type", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint(
            "pool_id",
            "address",
            "protocol_port",
            "live",
            name=op.f("uq_member_pool_id_address_protocol_port_live"),
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _member_indexes() -> None:
    op.create_index(
        op.f("ix_member_load_balancer_id"),
        "member",
        ["load_balancer_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_member_pool_id"), "member", ["pool_id"], unique=False, if_not_exists=True
    )
    op.create_index(
        op.f("ix_member_project_id_created_at_id"),
        "member",
        ["project_id", "created_at", "id"],
        unique=False,
        if_not_exists=True,
    )


def _pool() -> None:
    op.create_table(
        "pool",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("operating_status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.BigInteger(), nullable=False),
        sa.Column("pending_since", sa.Double(), nullable=True),
        sa.Column("live", sa.SmallInteger(), nullable=True),
        sa.Column("fault", TEXT, nullable=True),
        sa.Column("fault_generation", sa.BigInteger(), nullable=True),
        sa.Column("load_balancer_id", sa.String(length=36), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=True),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("lb_algorithm", sa.String(length=32), nullable=False),
        sa.Column("session_persistence", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("tls_enabled", sa.Boolean(), nullable=False),
        sa.Column("tls_container_ref", sa.String(length=255), nullable=True),
        sa.Column("ca_tls_container_ref", sa.String(length=255), nullable=True),
        sa.Column("crl_container_ref", sa.String(length=255), nullable=True),
        sa.Column("tls_ciphers", sa.String(length=2048), nullable=True),
        sa.Column("tls_versions", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("alpn_protocols", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pool")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def _pool_indexes() -> None:
    op.create_index(
        op.f("ix_pool_load_balancer_id"),
        "pool",
        ["load_balancer_id"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        op.f("ix_pool_project_id_created_at_id"),
        "pool",
        ["project_id", "created_at", "id"],
        unique=False,
        if_not_exists=True,
    )


def _tag() -> None:
    op.create_table(
        "tag",
        sa.Column("object_id", sa.String(length=36), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("object_id", "value", name=op.f("pk_tag")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_nopad_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )
