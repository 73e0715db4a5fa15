"""Load balancing as a service in one package.

Statera answers the OpenStack Load Balancer API v2 and runs every load balancer as a real
HAProxy / nftables data plane.  `docs/architecture.md` is the map of the house.
"""

__version__ = "0.1.0"
