"""Writes the first migrations from the tables as they are declared now.

    python tools/write_migration.py

For the time before the first release only: afterwards a change of the schema is a new migration.
Every module named `tables`, and every module below one, is taken into account.  Each statement
bears repetition, because MariaDB does not undo the first half of a migration that died.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations.ops import CreateIndexOp, CreateTableOp, ModifyTableOps, UpgradeOps

import statera
from statera.store.schema import metadata

FOLDER = Path(__file__).parent.parent / "src/statera/store/migrations"
PARTS = {
    "objects": "what the API shows",
    "placement": "what runs, and the work on it",
    "network": "the embedded network",
    "identity": "the embedded identity",
}
"""The migrations in order, and what each is about."""

HEADER = '''"""The first schema: {what}.  Written by `tools/write_migration.py`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
{imports}
revision = "{revision}"
down_revision = {before}
{types}

def upgrade() -> None:
    """Create the tables; repeating it does no harm."""
'''
TYPES = {
    "MOMENT": 'sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")',
    "DOCUMENT": 'sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")',
    "TEXT": 'sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")',
}
OF_KIND = {sa.DateTime: "MOMENT", sa.LargeBinary: "DOCUMENT", sa.Text: "TEXT"}


def import_tables() -> dict[str, str]:
    """Import every module that declares tables; return table -> migration that creates it."""
    parts: dict[str, str] = {}
    for module in pkgutil.walk_packages(statera.__path__, "statera."):
        path = module.name.split(".")
        if "tables" in path:
            part = next((part for part in PARTS if part in path), "placement")
            declared = vars(importlib.import_module(module.name)).values()
            parts.update((each.name, part) for each in declared if isinstance(each, sa.Table))
    return parts


def render_type(kind: str, item: Any, _context: Any) -> Any:
    """Name the types that differ on MariaDB, as they do in `store.types`."""
    if kind == "type" and type(item) in OF_KIND:
        return OF_KIND[type(item)]
    return False


def operations() -> Iterator[tuple[str, Any]]:
    """Yield (table, operation) in an order in which they can be carried out."""
    with sa.create_engine("sqlite://").connect() as connection:
        options = {"render_item": render_type, "sqlalchemy_module_prefix": "sa."}
        context = MigrationContext.configure(connection, opts=options)
        script = produce_migrations(context, metadata)
        for each in script.upgrade_ops.ops if script.upgrade_ops else ():
            for one in each.ops if isinstance(each, ModifyTableOps) else [each]:
                if isinstance(one, (CreateTableOp, CreateIndexOp)):
                    one.if_not_exists = True
                    yield one.table_name, one


def rendered(found: list[Any]) -> str:
    """Return the statements of some operations."""
    code = render_python_code(UpgradeOps(ops=found), render_item=render_type)
    return "\n".join(line for line in code.splitlines() if not line.strip().startswith("# ###"))


def write(number: int, part: str, tables: dict[str, list[Any]]) -> Path:
    """Write one migration: a function per table."""
    bodies = {}
    for table, found in tables.items():
        bodies[table] = rendered([one for one in found if isinstance(one, CreateTableOp)])
        indexes = [one for one in found if isinstance(one, CreateIndexOp)]
        if indexes:
            bodies[f"{table}_indexes"] = rendered(indexes)
    code = "\n".join(bodies.values())
    types = [f"{name} = {text}" for name, text in TYPES.items() if f"{name}" in code]
    before = f'"{number - 1:04}_{list(PARTS)[number - 2]}"' if number > 1 else "None"
    text = HEADER.format(
        what=PARTS[part],
        imports="from sqlalchemy.dialects import mysql\n" if types else "",
        revision=f"{number:04}_{part}",
        before=before,
        types="\n".join(types),
    )
    text += "".join(f"    _{table}()\n" for table in bodies)
    for table, body in bodies.items():
        text += f"\n\ndef _{table}() -> None:\n    {body.strip()}\n"
    target = FOLDER / f"r{number:04}_{part}.py"
    target.write_text(text)
    return target


def main() -> int:
    """Write the migrations; return the exit code."""
    part_of = import_tables()
    parts: dict[str, dict[str, list[Any]]] = {part: {} for part in PARTS}
    for table, one in operations():
        parts[part_of[table]].setdefault(table, []).append(one)
    for number, part in enumerate(PARTS, start=1):
        target = write(number, part, parts[part])
        for command in (["format"], ["check", "--fix"]):
            subprocess.run(["ruff", *command, "--quiet", str(target)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
