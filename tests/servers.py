"""Database servers for tests, which nobody has to stop.

A server dies with the thread that started it, whatever ends that (the kernel sees to it), and its
directory goes with the process, or else when somebody starts a server next.
"""

from __future__ import annotations

import atexit
import fcntl
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.installation import eventually, run

_PREFIX = "stdb"
_USER = "nobody"
"""Who servers run as where we are root, because neither would run as root."""
_ZONE = "CET-1CEST,M3.5.0,M10.5.0/3"
"""The servers' own time zone: one with summer time, so that a clock that follows it shows."""
_MISSING = "no {} server on this machine: tools/install-packages servers"
_numbers = itertools.count()


def _as_user(*options: str) -> list[str]:
    """Return the beginning of a command line that runs the rest as a user who is not root."""
    if os.geteuid() == 0:
        group = pwd.getpwnam(_USER).pw_gid
        options = (f"--reuid={_USER}", f"--regid={group}", "--clear-groups", *options)
    return ["setpriv", *options] if options else []


class Place:
    """A directory of a server; `path` is removed as soon as this process is gone."""

    def __init__(self) -> None:
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        fresh = self.path / "lock.new"
        self._lock = fresh.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fresh.rename(self.path / "lock")
        if os.geteuid() == 0:
            shutil.chown(self.path, _USER)

    def prepare(self, *command: str) -> None:
        """Run what makes the files of a server."""
        run(*_as_user(), "env", *(f"{name}={value}" for name, value in self.own.items()), *command)

    @property
    def own(self) -> dict[str, str]:
        """Return the environment of its processes.

        MariaDB takes for its own what others of its kind have in the directory for temporary files.
        """
        return {"TZ": _ZONE, "TMPDIR": str(self.path), "HOME": str(self.path)}


def _sweep() -> None:
    """Remove what processes have left that were killed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/lock"):
        try:
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:
            continue


class Server:
    """A running server; `url` takes the name of a database, `ending` is the signal that ends it."""

    def __init__(self, place: Place, url: str, command: list[str], ending: signal.Signals) -> None:
        self._place, self._url, self._ending = place, url, ending
        self._maintenance = "postgres" if url.startswith("postgresql") else "mysql"
        with (place.path / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*_as_user("--pdeathsig", ending.name), *command],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=place.path,
                env={**os.environ, **place.own},
            )
        atexit.register(self.stop)
        eventually("database server ready", self._answers, 60)

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError((self._place.path / "log").read_text()[-2000:])
        try:
            self._execute("select 1")
        except sa.exc.OperationalError:
            return False
        return True

    def _execute(self, statement: str) -> None:
        engine = sa.create_engine(
            self._url.format(self._maintenance),
            isolation_level="AUTOCOMMIT",
            poolclass=sa.NullPool,
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def create(self) -> str:
        """Create a fresh database and return its URL."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self._execute(f"create database {name}")
        return self._url.format(name)

    def stop(self) -> None:
        """End the server at once and remove its files."""
        self.process.send_signal(self._ending)
        self.process.wait()
        shutil.rmtree(self._place.path, ignore_errors=True)


def postgresql() -> Server:
    """Start a PostgreSQL."""
    versions = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not versions:
        pytest.fail(_MISSING.format("PostgreSQL"))
    binaries = max(versions, key=lambda path: float(path.parent.parent.name)).parent
    place = Place()
    data = place.path / "data"
    place.prepare(
        str(binaries / "initdb"), f"--pgdata={data}", "--auth=trust", "--username=postgres",
        "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
        "--locale-provider=icu", "--icu-locale=en-US",  # sorts otherwise than bytes do
    )  # fmt: skip
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(place.path),
        "fsync": "off",
        "full_page_writes": "off",
        "max_connections": "300",
    }
    command = [str(binaries / "postgres"), "-D", str(data)]
    command += [f"--{name}={value}" for name, value in options.items()]
    url = f"postgresql+psycopg://postgres@/{{}}?host={place.path}"
    return Server(place, url, command, signal.SIGQUIT)


def mariadb() -> Server:
    """Start a MariaDB."""
    program = shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.fail(_MISSING.format("MariaDB"))
    place = Place()
    data, socket = place.path / "data", place.path / "socket"
    place.prepare(
        "mariadb-install-db", "--no-defaults", f"--datadir={data}",
        "--auth-root-authentication-method=normal", "--skip-test-db",
    )  # fmt: skip
    command = [
        program, "--no-defaults", f"--datadir={data}", f"--socket={socket}",
        "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--max-connections=300",
        f"--pid-file={place.path / 'pid'}", "--sql-mode=", "--skip-name-resolve",
    ]  # fmt: skip
    url = f"mysql+mysqldb://root@/{{}}?unix_socket={socket}&charset=utf8mb4"
    return Server(place, url, command, signal.SIGKILL)
