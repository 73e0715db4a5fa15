"""The three databases of the tests: SQLite files, and a PostgreSQL and a MariaDB of our own.

Servers are started once per test process that asks, below a temporary directory, on a unix socket
only, without fsync (a test's data need not survive the machine), and ended with it.  Each test gets
a fresh database.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.installation import eventually, run

KINDS = ("sqlite", "postgresql", "mariadb")
_numbers = itertools.count()
_ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"
"""The servers' own time zone: one with summer time, so that a clock that follows it shows."""


class _Server:
    """One server below `directory`; `url` takes the name of a database."""

    def __init__(self, directory: Path, url: str, command: list[str], user: str) -> None:
        self.url = url
        self.directory = directory
        log = (directory / "log").open("wb")
        identity = pwd.getpwnam(user)
        self.process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            user=identity.pw_uid if os.geteuid() == 0 else None,
            group=identity.pw_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            cwd=directory,
            env={**os.environ, "TZ": _ZONE},
        )
        atexit.register(self.stop)

    def wait(self, maintenance: str) -> None:
        """Wait until it answers."""
        engine = sa.create_engine(self.url.format(maintenance), poolclass=sa.NullPool)

        def answers() -> bool:
            if self.process.poll() is not None:
                raise AssertionError((self.directory / "log").read_text()[-2000:])
            try:
                with engine.connect() as connection:
                    return bool(connection.scalar(sa.text("select 1")) == 1)
            except sa.exc.OperationalError:
                return False

        eventually("database server ready", answers, 60)

    def create(self, maintenance: str) -> str:
        """Create a fresh database and return its URL."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        engine = sa.create_engine(
            self.url.format(maintenance), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(f"create database {name}")
        return self.url.format(name)

    def stop(self) -> None:
        """End the server at once and remove its files."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def _directory(user: str) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="stdb"))
    directory.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(directory, user, user)
    return directory


@cache
def _postgresql() -> _Server:
    if not Path("/usr/lib/postgresql").is_dir():
        pytest.skip("no PostgreSQL server on this machine")
    directory = _directory("postgres")
    binaries = max(Path("/usr/lib/postgresql").iterdir(), key=lambda path: float(path.name)) / "bin"
    data = directory / "data"
    initialise = [str(binaries / "initdb"), "-D", str(data), "-A", "trust", "--no-sync"]
    switch = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run(*(switch if os.geteuid() == 0 else []), *initialise, "-U", "postgres")
    options = ["-k", str(directory), "-c", "listen_addresses=", "-c", "fsync=off"]
    command = [str(binaries / "postgres"), "-D", str(data), *options]
    url = f"postgresql+psycopg://postgres@/{{}}?host={directory}"
    server = _Server(directory, url, [*command, "-c", "max_connections=300"], "postgres")
    server.wait("postgres")
    return server


@cache
def _mariadb() -> _Server:
    if not shutil.which("mariadbd"):
        pytest.skip("no MariaDB server on this machine")
    directory = _directory("mysql")
    data, socket = directory / "data", directory / "socket"
    run(
        "mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=mysql",
        "--auth-root-authentication-method=normal", "--skip-test-db",
    )  # fmt: skip
    command = [
        "mariadbd", "--no-defaults", f"--datadir={data}", f"--socket={socket}",
        "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--max-connections=300",
        f"--pid-file={directory / 'pid'}", "--sql-mode=",
    ]  # fmt: skip
    url = f"mysql+mysqldb://root@/{{}}?unix_socket={socket}&charset=utf8mb4"
    server = _Server(directory, url, command, "mysql")
    server.wait("mysql")
    return server


def fresh_url(kind: str, directory: Path) -> str:
    """Return the URL of a fresh, empty database of one kind; `directory` is for SQLite's file."""
    if kind == "sqlite":
        return f"sqlite:///{directory / 'statera.db'}"
    if kind == "postgresql":
        return _postgresql().create("postgres")
    return _mariadb().create("mysql")


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a fresh, empty database, on each of the three kinds."""
    return fresh_url(request.param, tmp_path)
