"""The keys that sign and encrypt tokens: in the database, rotated, shared by all processes.

The newest key signs.  A replaced key stays as long as tokens that it signed can live.  A process
learns of a new key when it meets a token that no key of its own opens, and reads the keys anew each
time it issues a token, so nothing has to be restarted or told.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy.engine import Connection

from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.tables import signing_key
from statera.lb.errors import Unauthorized
from statera.store.database import Database
from statera.store.types import now

LOG = logging.getLogger(__name__)

_SLACK = 60.0
"""Seconds that a process may take between choosing the signing key and sending the token."""

_LONGEST = 1024
"""No token of ours is longer: nothing else is worth a decryption."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, ready to use; `created_at` by the database's clock."""

    id: str
    fernet: Fernet
    created_at: float


class KeyRing:
    """The keys as this process knows them."""

    def __init__(self, database: Database, settings: IdentitySettings) -> None:
        self._database = database
        self._settings = settings
        self._keys: tuple[Key, ...] = ()

    def signer(self) -> tuple[Key, float]:
        """Return the key to sign with and the database's time; rotate first if it is too old."""
        keys, time = self._load()
        newest = keys[0] if keys else None
        if newest is None or time - newest.created_at > self._settings.key_lifetime:
            self._database.write(
                lambda connection: _rotate(
                    connection, newest.id if newest else None, self._settings.token_lifetime
                )
            )
            keys, time = self._load()
        return keys[0], time

    def open(self, token: str) -> tuple[str, bytes]:
        """Return the id of the key that sealed `token`, and what is inside.

        Raise `Unauthorized` when no key of the installation did.
        """
        if not token.isascii() or len(token) > _LONGEST:
            raise Unauthorized("Unrecognized token")
        found = _unsealed(self._keys, token) or _unsealed(self._load()[0], token)
        if found is None:
            raise Unauthorized("Unrecognized token")
        return found

    def _load(self) -> tuple[tuple[Key, ...], float]:
        """Return the keys, the one that signs first, and the database's time."""
        statement = sa.select(signing_key, now().label("time")).order_by(
            signing_key.c.needed_until.is_not(None),
            signing_key.c.created_at.desc(),
            signing_key.c.id,
        )
        rows = self._database.read(lambda connection: connection.execute(statement).all())
        known = {key.id: key for key in self._keys}
        keys = self._keys = tuple(
            known.get(row.id) or Key(row.id, Fernet(row.secret), row.created_at) for row in rows
        )
        return keys, float(rows[0].time) if rows else 0.0


def _unsealed(keys: tuple[Key, ...], token: str) -> tuple[str, bytes] | None:
    for key in keys:
        with suppress(InvalidToken):
            return key.id, key.fernet.decrypt(token)
    return None


def rotate_keys(database: Database, settings: IdentitySettings, *, forget: bool = False) -> None:
    """Replace the signing key; with `forget` drop all others, which kills every token at once."""

    def work(connection: Connection) -> None:
        newest = connection.scalar(
            sa.select(signing_key.c.id)
            .where(signing_key.c.needed_until.is_(None))
            .order_by(signing_key.c.created_at.desc(), signing_key.c.id)
            .limit(1)
        )
        if forget:
            connection.execute(signing_key.delete())
            newest = None
        _rotate(connection, newest, settings.token_lifetime)

    database.write(work)
    LOG.info("identity.keys.rotated forget=%s", forget)


def _rotate(connection: Connection, newest: str | None, lifetime: float) -> None:
    """Make a new signing key in place of `newest`, unless another process was first."""
    retire = signing_key.update().values(needed_until=now() + lifetime + _SLACK)
    signs = signing_key.c.needed_until.is_(None)
    if newest is not None:
        if not connection.execute(retire.where(signs, signing_key.c.id == newest)).rowcount:
            return
        connection.execute(retire.where(signs))
    connection.execute(
        signing_key.insert().values(
            id=uuid.uuid4().hex, secret=Fernet.generate_key().decode(), created_at=now()
        )
    )
    connection.execute(signing_key.delete().where(signing_key.c.needed_until < now()))
