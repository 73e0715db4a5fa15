"""Runs before everything else at `statera up`: tables, the first user, and how clients find us.

It is a process of its own so that the supervisor, which lives as long as the installation, never
loads a database driver.
"""

from __future__ import annotations

import logging
import os
import secrets

import yaml

from statera.cli.clouds import Login, read_login, user_file, write_cloud
from statera.cli.context import ClientSettings, Context, EdgeSettings

LOG = logging.getLogger(__name__)


def main(context: Context) -> int:
    """Prepare the installation; repeatable."""
    upgrade(context)
    if context.get(EdgeSettings).identity == "embedded":
        _login(context)
    return 0


def upgrade(context: Context) -> bool:
    """Bring the database to this release; False when it was there already.

    Two that start together wait for each other.
    """
    from statera.store import upgrade as schema  # noqa: PLC0415

    context.state.prepare()
    return schema.upgrade(context.database_url)


def _login(context: Context) -> None:
    """Make the first user, and write its password where clients look (mode 0600).

    The password is stored before the user is made, so that a crash in between loses nothing.
    """
    from statera.cloud.identity.installation import bootstrap  # noqa: PLC0415
    from statera.cloud.identity.settings import IdentitySettings  # noqa: PLC0415
    from statera.store.database import Database  # noqa: PLC0415

    settings = context.get(IdentitySettings)
    known = read_login(context.state.clouds)
    login = Login(
        auth_url=f"{settings.public_url.rstrip('/')}/identity/v3",
        username="admin",
        password=known.password if known else secrets.token_urlsafe(24),
        project_name="admin",
        region_name=settings.region,
    )
    write_cloud(context.state.clouds, login)
    database = Database(context.database_url)
    try:
        made = bootstrap(database, settings, password=login.password).password is not None
    finally:
        database.close()
    if not made and known is None:
        context.state.clouds.unlink()
        LOG.warning("clouds.unknown reason='the password of admin is known to its owner alone'")
    elif context.get(ClientSettings).clouds_yaml:
        _tell_clients(login, made)


def _tell_clients(login: Login, made: bool) -> None:
    """Write the login into the user's clouds.yaml, unless the user may have changed it there."""
    path = user_file(os.environ)
    try:
        there = read_login(path)
        if made or there is None or there.auth_url != login.auth_url:
            write_cloud(path, login)
            LOG.info("clouds.written path=%s", path)
    except (OSError, ValueError, yaml.YAMLError) as error:
        LOG.warning("clouds.unwritten path=%s error=%s", path, error)
