"""How clients find us: clouds.yaml (with the first password, so mode 0600) and `openrc` lines.

The user's own clouds.yaml may hold other clouds and comments.  The entry is therefore exchanged in
the text, at the lines where the parser found it; only if that does not give what was meant is the
file written anew from its data.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CLOUD = "statera"


@dataclass(frozen=True, slots=True)
class Login:
    """What a client needs to log in by password."""

    auth_url: str
    username: str
    password: str
    project_name: str
    domain_name: str = "Default"
    region_name: str = "RegionOne"

    def cloud(self) -> dict[str, Any]:
        """Return the entry of clouds.yaml."""
        return {
            "auth": {
                "auth_url": self.auth_url,
                "username": self.username,
                "password": self.password,
                "project_name": self.project_name,
                "user_domain_name": self.domain_name,
                "project_domain_name": self.domain_name,
            },
            "region_name": self.region_name,
            "identity_api_version": 3,
        }

    def openrc(self) -> str:
        """Return shell lines that set the clients' environment variables."""
        values = {
            "OS_AUTH_URL": self.auth_url,
            "OS_USERNAME": self.username,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": self.project_name,
            "OS_USER_DOMAIN_NAME": self.domain_name,
            "OS_PROJECT_DOMAIN_NAME": self.domain_name,
            "OS_REGION_NAME": self.region_name,
            "OS_IDENTITY_API_VERSION": "3",
        }
        unset = "unset OS_CLOUD OS_TOKEN OS_AUTH_TYPE"
        return "\n".join(
            [unset, *(f"export {name}={shlex.quote(value)}" for name, value in values.items())]
        )


def read_login(path: Path, cloud: str = CLOUD) -> Login | None:
    """Return the login kept in a clouds.yaml, None if there is none."""
    try:
        entry = yaml.safe_load(path.read_text())["clouds"][cloud]
        auth = entry["auth"]
        return Login(
            auth_url=auth["auth_url"],
            username=auth["username"],
            password=auth["password"],
            project_name=auth["project_name"],
            domain_name=auth["user_domain_name"],
            region_name=entry["region_name"],
        )
    except (FileNotFoundError, KeyError, TypeError):
        return None


def user_file(environment: Mapping[str, str]) -> Path:
    """Return where the OpenStack clients look for the user's clouds.yaml."""
    home = Path(environment.get("HOME") or Path.home())
    folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    return folder / "openstack" / "clouds.yaml"


def write_cloud(path: Path, login: Login, cloud: str = CLOUD) -> None:
    """Put the cloud into the file at `path` (created if missing), mode 0600, everything else kept.

    The file stays whose it is, because root may do this in the home of the user who called `sudo`.
    Raise `ValueError` if the file is not a clouds.yaml, in which case it is left as it is.
    """
    path = path.resolve()  # a link stays a link
    before = path.read_text() if path.exists() else ""
    after = merged(before, cloud, login.cloud())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=".clouds")  # made with mode 0600
    try:
        owner = (path if path.exists() else path.parent).stat()
        os.chown(number, owner.st_uid, owner.st_gid)
        with os.fdopen(number, "w") as file:
            file.write(after)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def merged(text: str, cloud: str, entry: Mapping[str, Any]) -> str:
    """Return the text of a clouds.yaml with the cloud's entry in it; raise `ValueError`."""
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("clouds") or {}, dict):
        raise ValueError("not a clouds.yaml: `clouds` is no mapping")
    wanted = {**data, "clouds": {**(data.get("clouds") or {}), cloud: dict(entry)}}
    edited = _edited(text, cloud, entry)
    if edited is not None and _same(edited, wanted):
        return edited
    return yaml.safe_dump(wanted, sort_keys=False)


def _same(text: str, wanted: Any) -> bool:
    try:
        return bool(yaml.safe_load(text) == wanted)
    except yaml.YAMLError:
        return False


def _edited(text: str, cloud: str, entry: Mapping[str, Any]) -> str | None:
    """Return the text with only the lines of the cloud exchanged; None where that is no matter of
    lines (flow style, for instance)."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    clouds = _value(root, "clouds")
    if root is None or (clouds is None and isinstance(root, yaml.MappingNode)):
        separator = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{separator}clouds:\n{_block(cloud, entry, 2)}"
    if not isinstance(clouds, yaml.MappingNode) or clouds.flow_style or not clouds.value:
        return None
    lines = text.splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    indent = clouds.value[0][0].start_mark.column
    for key, value in clouds.value:
        if key.value == cloud:
            first, last = key.start_mark.line, _last_line(value) + 1
            break
    else:
        first = last = _last_line(clouds) + 1
    return "".join([*lines[:first], _block(cloud, entry, indent), *lines[last:]])


def _value(node: Any, name: str) -> Any:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _last_line(node: Any) -> int:
    """Return the line on which a node's own text ends (a block mapping's end mark lies behind the
    comments that follow it)."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    end = node.end_mark
    return int(end.line) if end.column else int(end.line) - 1


def _block(cloud: str, entry: Mapping[str, Any], indent: int) -> str:
    text = yaml.safe_dump({cloud: dict(entry)}, sort_keys=False)
    return "".join(" " * indent + line for line in text.splitlines(keepends=True))
