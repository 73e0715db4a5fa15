"""Runs before everything else at `statera up`: tables, the first user, and how clients find us.

It is a process of its own so that the supervisor, which lives as long as the installation, never
loads a database driver.
"""

from __future__ import annotations

import logging
import os

from statera.cli.clouds import Login, read_login, user_file, write_cloud
from statera.cli.context import ClientSettings, Context, EdgeSettings

LOG = logging.getLogger(__name__)


def main(context: Context) -> int:
    """Prepare the installation; repeatable."""
    context.state.prepare()
    upgrade(context)
    if context.get(EdgeSettings).identity == "embedded":
        _login(context)
    return 0


def upgrade(context: Context) -> None:
    """Bring the database to this release; two that start together wait for each other."""
    from statera.store import migrations  # noqa: PLC0415

    context.state.prepare()
    with context.state.lock("database", wait=True):
        migrations.upgrade(context.database_url)
    LOG.info("database.upgraded")


def _login(context: Context) -> None:
    """Make the first user, and write its password where clients look (mode 0600)."""
    from statera.cloud.identity.bootstrap import bootstrap  # noqa: PLC0415
    from statera.cloud.identity.settings import IdentitySettings  # noqa: PLC0415
    from statera.store.database import Database  # noqa: PLC0415

    settings = context.get(IdentitySettings)
    known = read_login(context.state.clouds)
    database = Database(context.database_url)
    try:
        made = bootstrap(database, settings, password=known.password if known else None)
    finally:
        database.close()
    login = Login(
        auth_url=f"{settings.public_url}/identity/v3",
        username=made.username,
        password=made.password,
        project_name=made.project_name,
        region_name=settings.region,
    )
    write_cloud(context.state.clouds, login)
    if not context.get(ClientSettings).clouds_yaml:
        return
    path = user_file(os.environ)
    try:
        write_cloud(path, login)
    except (OSError, ValueError) as error:
        LOG.warning("clouds.unwritten path=%s error=%s", path, error)
