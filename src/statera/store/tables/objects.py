"""The objects of the API: one table per resource, columns named as its attributes.

`live` is 1 or null (doomed) and part of every unique key, so keys bind living rows only on all
three databases.  `sequence` keeps the order of creation where created_at ties.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from statera.store.schema import metadata
from statera.store.types import OPTIONS, Id, Moment, Seconds, Text


def _object(name: str, *columns: Any) -> sa.Table:
    """Return a table with the columns that every object of a load balancer has (design §4)."""
    return sa.Table(
        name,
        metadata,
        sa.Column("id", Id, primary_key=True),
        sa.Column("project_id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("admin_state_up", sa.Boolean, nullable=False),
        sa.Column("operating_status", sa.String(16), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("born", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("pending_since", Seconds),
        sa.Column("live", sa.SmallInteger),
        sa.Column("fault", Text),
        sa.Column("fault_generation", sa.BigInteger),
        *columns,
        # a page of a project's list: found and in order, however many objects the project has
        sa.Index(None, "project_id", "created_at", "id"),
        **OPTIONS,
    )


def _owner() -> sa.Column[Any]:
    return sa.Column("load_balancer_id", Id, nullable=False, index=True)


load_balancer = _object(
    "load_balancer",
    sa.Column("description", sa.String(255)),
    sa.Column("provider", sa.String(64), nullable=False),
    sa.Column("topology", sa.String(32), nullable=False),
    sa.Column("flavor_id", Id),
    sa.Column("availability_zone", sa.String(255)),
    sa.Column("vip_address", sa.String(64)),
    sa.Column("vip_port_id", Id),
    sa.Column("vip_port_owned", sa.Boolean, nullable=False),
    sa.Column("vip_subnet_id", Id),
    sa.Column("vip_network_id", Id),
    sa.Column("vip_qos_policy_id", Id),
    sa.Column("vip_sg_ids", sa.JSON, nullable=False),
    sa.Column("vip_vnic_type", sa.String(16), nullable=False),
    sa.Column("reserved_until", Seconds),
    sa.Column("deleted_at", Seconds),
)
"""`generation` is the load balancer's counter: every write of it or of anything under it takes the
next number.  `deleted_at`: the row is DELETED, hidden, and waits to be purged."""

additional_vip = sa.Table(
    "additional_vip",
    metadata,
    sa.Column("load_balancer_id", Id, primary_key=True),
    sa.Column("subnet_id", Id, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("network_id", Id),
    sa.Column("ip_address", sa.String(64)),
    sa.Column("port_id", Id),
    **OPTIONS,
)

listener = _object(
    "listener",
    _owner(),
    sa.Column("description", sa.String(255)),
    sa.Column("protocol", sa.String(16), nullable=False),
    sa.Column("protocol_port", sa.Integer, nullable=False),
    sa.Column("port_space", sa.String(8), nullable=False),
    sa.Column("connection_limit", sa.BigInteger, nullable=False),
    sa.Column("default_pool_id", Id, index=True),
    sa.Column("default_tls_container_ref", sa.String(255)),
    sa.Column("sni_container_refs", sa.JSON, nullable=False),
    sa.Column("insert_headers", sa.JSON, nullable=False),
    sa.Column("timeout_client_data", sa.BigInteger, nullable=False),
    sa.Column("timeout_member_connect", sa.BigInteger, nullable=False),
    sa.Column("timeout_member_data", sa.BigInteger, nullable=False),
    sa.Column("timeout_tcp_inspect", sa.BigInteger, nullable=False),
    sa.Column("client_ca_tls_container_ref", sa.String(255)),
    sa.Column("client_authentication", sa.String(16), nullable=False),
    sa.Column("client_crl_container_ref", sa.String(255)),
    sa.Column("allowed_cidrs", sa.JSON(none_as_null=True)),
    sa.Column("tls_ciphers", sa.String(2048)),
    sa.Column("tls_versions", sa.JSON(none_as_null=True)),
    sa.Column("alpn_protocols", sa.JSON(none_as_null=True)),
    sa.Column("hsts_max_age", sa.BigInteger),
    sa.Column("hsts_include_subdomains", sa.Boolean, nullable=False),
    sa.Column("hsts_preload", sa.Boolean, nullable=False),
    sa.UniqueConstraint("load_balancer_id", "port_space", "protocol_port", "live"),
)

pool = _object(
    "pool",
    _owner(),
    sa.Column("description", sa.String(255)),
    sa.Column("protocol", sa.String(16), nullable=False),
    sa.Column("lb_algorithm", sa.String(32), nullable=False),
    sa.Column("session_persistence", sa.JSON(none_as_null=True)),
    sa.Column("tls_enabled", sa.Boolean, nullable=False),
    sa.Column("tls_container_ref", sa.String(255)),
    sa.Column("ca_tls_container_ref", sa.String(255)),
    sa.Column("crl_container_ref", sa.String(255)),
    sa.Column("tls_ciphers", sa.String(2048)),
    sa.Column("tls_versions", sa.JSON(none_as_null=True)),
    sa.Column("alpn_protocols", sa.JSON(none_as_null=True)),
)

member = _object(
    "member",
    _owner(),
    sa.Column("pool_id", Id, nullable=False, index=True),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("protocol_port", sa.Integer, nullable=False),
    sa.Column("weight", sa.Integer, nullable=False),
    sa.Column("backup", sa.Boolean, nullable=False),
    sa.Column("subnet_id", Id),
    sa.Column("monitor_address", sa.String(64)),
    sa.Column("monitor_port", sa.Integer),
    sa.Column("vnic_type", sa.String(16), nullable=False),
    sa.UniqueConstraint("pool_id", "address", "protocol_port", "live"),
)

health_monitor = _object(
    "health_monitor",
    _owner(),
    sa.Column("pool_id", Id, nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("delay", sa.BigInteger, nullable=False),
    sa.Column("timeout", sa.BigInteger, nullable=False),
    sa.Column("max_retries", sa.Integer, nullable=False),
    sa.Column("max_retries_down", sa.Integer, nullable=False),
    sa.Column("http_method", sa.String(16)),
    sa.Column("url_path", sa.String(2048)),
    sa.Column("expected_codes", sa.String(64)),
    sa.Column("http_version", sa.Double),
    sa.Column("domain_name", sa.String(255)),
    sa.UniqueConstraint("pool_id", "live"),
)

tag = sa.Table(
    "tag",
    metadata,
    sa.Column("object_id", Id, primary_key=True),
    sa.Column("value", sa.String(255), primary_key=True),
    **OPTIONS,
)

CHILDREN = (listener, pool, member, health_monitor)
"""Tables of what stands under a load balancer."""
