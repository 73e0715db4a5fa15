"""Embedded Network API v2.0: networks, subnets, ports."""
