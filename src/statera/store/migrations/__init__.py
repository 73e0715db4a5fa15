"""The chain of migrations: linear, expand-only within a major release."""
