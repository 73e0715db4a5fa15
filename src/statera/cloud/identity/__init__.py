"""Embedded Keystone v3: projects, users, roles, tokens, catalogue."""
