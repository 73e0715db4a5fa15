"""Tables of the embedded network service.

Addresses are kept as text for people and as an *ordinal* for SQL: the address as 32 hexadecimal
digits, so that comparing and sorting strings compares and sorts addresses on every database, IPv6
included.  Every write that concerns a network holds the lock of its row; a rule over all networks
holds a row of `network_guard`.
"""

from __future__ import annotations

import sqlalchemy as sa

from statera.store.schema import metadata
from statera.store.types import OPTIONS, Id, Moment

Ordinal = sa.String(32)
Name = sa.String(255)

network = sa.Table(
    "network_network",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("project_id", Name, nullable=False, index=True),
    sa.Column("name", Name, nullable=False),
    sa.Column("description", Name, nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False),
    sa.Column("mtu", sa.Integer, nullable=False),
    sa.Column("revision_number", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    **OPTIONS,
)

subnet = sa.Table(
    "network_subnet",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("network_id", Id, sa.ForeignKey(network.c.id), nullable=False, index=True),
    sa.Column("project_id", Name, nullable=False, index=True),
    sa.Column("name", Name, nullable=False),
    sa.Column("description", Name, nullable=False),
    sa.Column("ip_version", sa.Integer, nullable=False),
    sa.Column("cidr", sa.String(64), nullable=False),
    sa.Column("first", Ordinal, nullable=False, index=True),
    sa.Column("last", Ordinal, nullable=False),
    sa.Column("gateway_ip", sa.String(64)),
    sa.Column("enable_dhcp", sa.Boolean, nullable=False),
    sa.Column("allocation_pools", sa.JSON, nullable=False),
    sa.Column("host_routes", sa.JSON, nullable=False),
    sa.Column("dns_nameservers", sa.JSON, nullable=False),
    sa.Column("last_allocated", Ordinal),
    sa.Column("revision_number", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    **OPTIONS,
)
"""`first` and `last` are the ordinals of the whole range; behind `last_allocated` the search for a
free address goes on, so that a released address is not given out again at once."""

port = sa.Table(
    "network_port",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("network_id", Id, sa.ForeignKey(network.c.id), nullable=False, index=True),
    sa.Column("project_id", Name, nullable=False, index=True),
    sa.Column("name", Name, nullable=False),
    sa.Column("description", Name, nullable=False),
    sa.Column("admin_state_up", sa.Boolean, nullable=False),
    sa.Column("mac_address", sa.String(17), nullable=False),
    sa.Column("device_id", Name, nullable=False, index=True),
    sa.Column("device_owner", Name, nullable=False),
    sa.Column("bound", sa.String(8), nullable=False),
    sa.Column("allowed_address_pairs", sa.JSON, nullable=False),
    sa.Column("revision_number", sa.BigInteger, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    **OPTIONS,
)
"""`bound` says what a service of the installation has with the port: `owned` (made and removed by
it), `claimed` (a user's port that it uses) or empty."""

address = sa.Table(
    "network_address",
    metadata,
    sa.Column("subnet_id", Id, sa.ForeignKey(subnet.c.id), primary_key=True),
    sa.Column("ordinal", Ordinal, primary_key=True),
    sa.Column("port_id", Id, sa.ForeignKey(port.c.id), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("ip_address", sa.String(64), nullable=False, index=True),
    **OPTIONS,
)
"""Addresses in use; the primary key is what makes an address unique.  `position` is the place in
the port's list."""

guard = sa.Table(
    "network_guard",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    **OPTIONS,
)
"""One row per rule that concerns every network; whoever relies on the rule locks its row."""
