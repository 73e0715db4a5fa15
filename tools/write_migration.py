"""Writes the first migration from the tables as they are declared now.

    python tools/write_migration.py

For the time before the first release only: afterwards a change of the schema is a new migration.
Every module named `tables`, and every module below one, is taken into account.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

import statera
from statera.store.schema import metadata

TARGET = Path(__file__).parent.parent / "src/statera/store/migrations/r0001_first.py"
REVISION = "0001_first"

HEADER = '''"""The first schema.  Written by `tools/write_migration.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "{revision}"
down_revision = None


def upgrade() -> None:
    """Create every table."""
'''


def import_tables() -> None:
    """Import every module that declares tables."""
    for module in pkgutil.walk_packages(statera.__path__, "statera."):
        if "tables" in module.name.split("."):
            importlib.import_module(module.name)


def main() -> int:
    """Write the migration; return the exit code."""
    import_tables()
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        script = produce_migrations(MigrationContext.configure(connection), metadata)
        if script.upgrade_ops is None:
            return 1
        body = render_python_code(script.upgrade_ops)
    header = HEADER.format(revision=REVISION)
    if "mysql." not in body:
        header = header.replace("from sqlalchemy.dialects import mysql\n", "")
    TARGET.write_text(header + "    " + body.strip() + "\n")
    for command in ("format", "check"):
        subprocess.run(["ruff", command, "--quiet", str(TARGET)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
