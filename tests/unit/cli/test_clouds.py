"""The cloud is put into clouds.yaml and everything else in there stays."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from statera.cli.clouds import Login, merged, read_login, user_file, write_cloud

LOGIN = Login("http://127.0.0.1:9876/identity/v3", "admin", "s3cret 'x' $HOME", "admin")
ENTRY = LOGIN.cloud()

OTHERS = """\
# my clouds
clouds:
  # the one at work
  work:
    auth:
      auth_url: https://work/v3   # slow
      username: me
    region_name: A
  # the end
cache:
  expiration_time: 3  # minutes
"""
WITH_OURS_FIRST = """\
clouds:
    statera:
        auth: {auth_url: http://old/v3}
        networks:
        - name: x
    # kept
    work:
        auth: {auth_url: https://work/v3}
"""
WITH_OURS_LAST = """\
clouds:
  work:
    auth: {auth_url: https://work/v3}
  statera:
    auth:
      password: |
        old
        older
# kept
cache: {}
"""


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", []),
        ("# nothing yet\n", ["# nothing yet"]),
        ("clouds:\n", []),
        ("clouds: {}\n", []),
        ("cache: {}\n", ["cache: {}"]),
        ("cache: {}", ["cache: {}"]),
        (OTHERS, OTHERS.splitlines()),
        (OTHERS.rstrip("\n"), OTHERS.splitlines()),
        ("---\nclouds:\n  work: {auth: {}}\n", ["---", "  work: {auth: {}}"]),
        (WITH_OURS_FIRST, ["    # kept", "    work:"]),
        (WITH_OURS_LAST, ["  work:", "# kept", "cache: {}"]),
        ("clouds: {work: {auth: {}}, statera: {}}\n", []),
        ('clouds:\n  "statera": {}\n  work: {}\n', ["  work: {}"]),
    ],
)
def test_merge(text: str, kept: list[str]) -> None:
    """The cloud is there as meant, other data is unchanged, and lines that need not change stay."""
    after = merged(text, "statera", ENTRY)
    before = yaml.safe_load(text) or {}
    clouds = {**(before.get("clouds") or {}), "statera": ENTRY}
    assert yaml.safe_load(after) == {**before, "clouds": clouds}
    for line in kept:
        assert line in after.splitlines()
    assert merged(after, "statera", ENTRY) == after


@pytest.mark.parametrize("text", ["clouds: [a]\n", "- a\n", "clouds: {\n", "just text\n"])
def test_what_is_no_clouds_file_is_left_alone(tmp_path: Path, text: str) -> None:
    """A file of another shape is refused and not touched."""
    path = tmp_path / "clouds.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"YAML|clouds\.yaml"):
        write_cloud(path, LOGIN)
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_private_and_read_back(tmp_path: Path) -> None:
    """The file gets mode 0600 even if it was open before, a link stays, the login is there."""
    real = tmp_path / "real.yaml"
    real.write_text(OTHERS)
    real.chmod(0o644)
    path = tmp_path / "clouds.yaml"
    path.symlink_to(real)
    write_cloud(path, LOGIN)
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert read_login(path) == LOGIN
    changed = dataclasses.replace(LOGIN, password="other")
    write_cloud(path, changed)
    assert read_login(path) == changed


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file away")
def test_file_stays_whose_it_is(tmp_path: Path) -> None:
    """Root writes into a user's file, and the user can still read it."""
    path = tmp_path / "clouds.yaml"
    path.write_text(OTHERS)
    os.chown(path, 65534, 65533)
    write_cloud(path, LOGIN)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65533, 0o600)


def test_no_login(tmp_path: Path) -> None:
    """Without a file, or without our cloud in it, there is no login."""
    path = tmp_path / "clouds.yaml"
    assert read_login(path) is None
    path.write_text(OTHERS)
    assert read_login(path) is None


def test_openrc_is_shell() -> None:
    """A shell that reads the lines has the password unharmed, and no other cloud's variables."""
    script = f'OS_CLOUD=x; {LOGIN.openrc()}\nprintf \'%s|%s\' "$OS_PASSWORD" "$OS_CLOUD"'
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{LOGIN.password}|"


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"HOME": "/h"}, "/h/.config/openstack/clouds.yaml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/openstack/clouds.yaml"),
    ],
)
def test_user_file(environment: dict[str, str], wanted: str) -> None:
    """The file is where the clients look."""
    assert user_file(environment) == Path(wanted)
