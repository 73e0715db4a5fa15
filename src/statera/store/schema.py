"""The one MetaData of the installation.

Tables of the core are in `store.tables`; the embedded cloud declares its own beside its rules, on
this same MetaData, so that one migration chain and one test cover them all.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)
