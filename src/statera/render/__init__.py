"""A spec document -> the text of an engine (haproxy.cfg, nftables rules).  Pure."""
