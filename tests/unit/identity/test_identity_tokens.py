"""Tokens and the keys that seal them."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import event

from statera.cloud.identity.embedded import EmbeddedIdentity
from statera.cloud.identity.installation import bootstrap
from statera.cloud.identity.keys import KeyRing, rotate_keys
from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.tables import assignment, project, revoked, role, signing_key, user
from statera.cloud.identity.tokens import Grant, Tokens
from statera.lb.errors import Unauthorized
from statera.store.database import Database
from statera.store.schema import metadata
from statera.store.types import now


def _grant(database: Database) -> Grant:
    def work(connection: sa.Connection) -> Grant:
        who = connection.execute(sa.select(user)).one()
        where = connection.execute(sa.select(project).where(project.c.name == "demo")).one()
        return Grant(who.id, who.epoch, 1, where.id, where.epoch)

    return database.read(work)


def _run(database: Database, statement: sa.Executable) -> None:
    database.write(lambda connection: connection.execute(statement))


def _keys(database: Database) -> list[str]:
    statement = sa.select(signing_key.c.id).order_by(signing_key.c.created_at)
    return database.read(lambda connection: list(connection.scalars(statement)))


def _count(database: Database, table: sa.Table) -> int:
    statement = sa.select(sa.func.count()).select_from(table)
    return database.read(lambda connection: connection.scalar(statement)) or 0


def test_token_gives_user_project_and_implied_roles(
    database: Database, settings: IdentitySettings
) -> None:
    """A fresh token names its user and project; admin brings member and reader."""
    grant = _grant(database)
    token, payload = Tokens(database, settings).issue(grant)
    caller = EmbeddedIdentity(database, settings).authenticate({"x-auth-token": token})
    assert (caller.user_id, caller.project_id) == (grant.user_id, grant.project_id)
    assert caller.roles == {"admin", "member", "reader"}
    assert payload.expires_at - payload.issued_at == pytest.approx(settings.token_lifetime)
    assert caller.token_id not in token
    assert len(token) <= 255


@pytest.mark.parametrize(
    "headers",
    [{}, *({"x-auth-token": text} for text in ("", "gAAAA", "é" * 50, "A" * 100_000))],
)
def test_garbage_is_no_token(
    database: Database, settings: IdentitySettings, headers: dict[str, str]
) -> None:
    """What is no token of ours is refused as one."""
    with pytest.raises(Unauthorized):
        EmbeddedIdentity(database, settings).authenticate(headers)


def test_changed_token_is_refused(database: Database, settings: IdentitySettings) -> None:
    """Any changed character breaks the seal."""
    token, _ = Tokens(database, settings).issue(_grant(database))
    identity = EmbeddedIdentity(database, settings)
    for place in range(10, len(token) - 4, 13):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Unauthorized):
            identity.authenticate({"x-auth-token": token[:place] + other + token[place + 1 :]})


@pytest.mark.parametrize(
    "change",
    [
        user.update().values(enabled=False),
        user.update().values(epoch=user.c.epoch + 1),
        user.delete(),
        project.update().values(enabled=False),
        project.update().values(epoch=project.c.epoch + 1),
        project.delete(),
        assignment.delete(),
        role.delete(),
        signing_key.delete(),
    ],
    ids=lambda statement: f"{type(statement).__name__}-{statement.table.name}",
)
def test_token_dies_with_what_it_stands_on(
    database: Database, settings: IdentitySettings, change: sa.Executable
) -> None:
    """A token that was just accepted is refused right after the change, in another process too."""
    token, _ = Tokens(database, settings).issue(_grant(database))
    identity = EmbeddedIdentity(database, settings)
    identity.authenticate({"x-auth-token": token})
    _run(database, change)
    with pytest.raises(Unauthorized):
        identity.authenticate({"x-auth-token": token})
    with pytest.raises(Unauthorized):
        EmbeddedIdentity(database, settings).authenticate({"x-auth-token": token})


def test_revocation_kills_one_token_at_once(database: Database, settings: IdentitySettings) -> None:
    """Only the revoked token dies; revoking twice is harmless; old revocations are forgotten."""
    tokens, grant = Tokens(database, settings), _grant(database)
    (first, _), (second, _) = tokens.issue(grant), tokens.issue(grant)
    _run(database, revoked.insert().values(audit_id="old", expires_at=now() - 1))
    verdict = tokens.verify(first)
    tokens.revoke(verdict)
    tokens.revoke(verdict)
    with pytest.raises(Unauthorized):
        tokens.verify(first)
    assert tokens.verify(second).user_id == grant.user_id
    kept = database.read(lambda connection: list(connection.scalars(sa.select(revoked.c.audit_id))))
    assert kept == [verdict.audit_id]


def test_expired_token_is_refused(database: Database, settings: IdentitySettings) -> None:
    """A token past its end is dead, and none outlives its bound."""
    tokens = Tokens(database, settings)
    token, payload = tokens.issue(dataclasses.replace(_grant(database), expires_at=1.0))
    assert payload.expires_at == 1.0
    with pytest.raises(Unauthorized):
        tokens.verify(token)


def test_rotation_keeps_old_tokens_and_reaches_other_processes(
    database: Database, settings: IdentitySettings
) -> None:
    """Old tokens live on after a rotation; a process that knew only the old key takes new ones."""
    ours, theirs = Tokens(database, settings), Tokens(database, settings)
    old, _ = ours.issue(_grant(database))
    theirs.verify(old)
    before = _keys(database)
    rotate_keys(database, settings)
    assert len(_keys(database)) == len(before) + 1
    new, _ = ours.issue(_grant(database))
    for token in (old, new):
        assert theirs.verify(token).roles == {"admin", "member", "reader"}


def test_a_key_met_while_another_thread_learns_it(
    database: Database, settings: IdentitySettings
) -> None:
    """A valid token is not refused when the new key arrives between two looks at the keys."""
    ring = KeyRing(database, settings)
    key, _ = ring.signer()
    rotate_keys(database, settings)
    fresh, _ = KeyRing(database, settings).signer()

    class OtherThread(Fernet):
        def decrypt(self, *given: object) -> bytes:
            ring._load()
            raise InvalidToken(given)

    ring._keys = (dataclasses.replace(key, fernet=OtherThread(Fernet.generate_key())),)
    token = fresh.fernet.encrypt(b"inside").decode()
    assert ring.open(token) == (fresh.id, b"inside")


def test_garbage_costs_one_statement(database: Database, settings: IdentitySettings) -> None:
    """Who floods us with garbage makes us look for new keys once each, no more."""
    tokens, seen = Tokens(database, settings), []
    tokens.issue(_grant(database))
    event.listen(database.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    with pytest.raises(Unauthorized):
        tokens.verify("gAAAA" * 20)
    assert len([text for text in seen if text.startswith("SELECT")]) == 1


def test_what_another_release_wrote_is_refused(
    database: Database, settings: IdentitySettings
) -> None:
    """A token of another layout is not read as if it were one of ours."""
    tokens = Tokens(database, settings)
    _, payload = tokens.issue(_grant(database))
    key, _ = KeyRing(database, settings).signer()
    other = msgspec.msgpack.encode(msgspec.structs.replace(payload, version=2))
    with pytest.raises(Unauthorized):
        tokens.verify(key.fernet.encrypt(other).decode())


def test_rotation_drops_keys_whose_tokens_are_gone(
    database: Database, settings: IdentitySettings
) -> None:
    """A replaced key stays as long as its tokens can live, and no longer."""
    first = _keys(database)[0]
    rotate_keys(database, settings)
    statement = sa.select(signing_key.c.needed_until - now()).where(signing_key.c.id == first)
    left = database.read(lambda connection: connection.scalar(statement))
    assert left is not None
    assert left >= settings.token_lifetime
    _run(database, signing_key.update().where(signing_key.c.id == first).values(needed_until=1))
    rotate_keys(database, settings)
    assert first not in _keys(database)


def test_forgetting_kills_every_token_even_where_keys_are_cached(
    database: Database, settings: IdentitySettings
) -> None:
    """After a theft of keys one call makes everything that they sealed worthless."""
    tokens = Tokens(database, settings)
    token, _ = tokens.issue(_grant(database))
    rotate_keys(database, settings, forget=True)
    assert len(_keys(database)) == 1
    with pytest.raises(Unauthorized):
        tokens.verify(token)
    fresh, _ = tokens.issue(_grant(database))
    assert tokens.verify(fresh).is_admin


def test_old_key_is_rotated_by_itself(database: Database, settings: IdentitySettings) -> None:
    """Issuing with a key older than its life makes a new one first, once."""
    first = _keys(database)[0]
    _run(database, signing_key.update().values(created_at=now() - settings.key_lifetime - 1))
    tokens = Tokens(database, settings)
    for _ in range(2):
        token, _payload = tokens.issue(_grant(database))
    keys = _keys(database)
    assert (keys[0], len(keys)) == (first, 2)
    assert tokens.verify(token).is_admin


def test_bootstrap_is_idempotent(tmp_path: Path, settings: IdentitySettings) -> None:
    """The first call makes a random password, later ones change nothing and tell none."""
    database = Database(f"sqlite:///{tmp_path}/fresh.db", durable=False)
    metadata.create_all(database.engine)
    first, second = bootstrap(database, settings), bootstrap(database, settings, "other")
    assert first.password
    assert len(first.password) >= 32
    assert first.password not in repr(first)
    assert second.password is None
    tables = (user, project, role, assignment, signing_key)
    assert [_count(database, table) for table in tables] == [1, 2, 3, 2, 1]
    database.close()


def test_bootstrap_revives_no_administrator_that_is_gone(
    database: Database, settings: IdentitySettings
) -> None:
    """With another administrator there, `admin` may be renamed or deleted for good."""
    _run(database, user.update().values(name="root"))
    _run(database, project.delete().where(project.c.name == "demo"))
    assert bootstrap(database, settings, "first password").password is None
    assert [_count(database, table) for table in (user, project)] == [1, 1]
    _run(database, user.update().values(enabled=False))
    assert bootstrap(database, settings, "new password").password == "new password"
    assert [_count(database, table) for table in (user, project)] == [2, 2]


def test_processes_that_start_together_install_once(
    tmp_path: Path, settings: IdentitySettings
) -> None:
    """Of many simultaneous installations exactly one makes the user; all end well."""
    databases = [Database(f"sqlite:///{tmp_path}/race.db", durable=False) for _ in range(6)]
    metadata.create_all(databases[0].engine)
    with ThreadPoolExecutor(len(databases)) as pool:
        found = list(pool.map(lambda database: bootstrap(database, settings), databases))
    assert len([each for each in found if each.password]) == 1
    tables = (user, project, role, assignment)
    assert [_count(databases[0], table) for table in tables] == [1, 2, 3, 2]
    for database in databases:
        database.close()


def test_simultaneous_rotations_leave_tokens_valid(
    database: Database, settings: IdentitySettings
) -> None:
    """Whoever rotates at the same time, every token issued meanwhile holds everywhere."""
    grant = _grant(database)

    def work(_: int) -> str:
        rotate_keys(database, settings)
        return Tokens(database, settings).issue(grant)[0]

    with ThreadPoolExecutor(4) as pool:
        issued = list(pool.map(work, range(12)))
    tokens = Tokens(database, settings)
    assert {tokens.verify(token).user_id for token in issued} == {grant.user_id}
    rotate_keys(database, settings)
    signing = sa.select(sa.func.count()).where(signing_key.c.needed_until.is_(None))
    assert database.read(lambda connection: connection.scalar(signing)) == 1
