"""Real clients against the embedded identity: keystoneauth, openstacksdk, the openstack command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.util import shift_path_info

import openstack
import pytest
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3

from statera.cloud.identity.app import create_app
from statera.cloud.identity.embedded import EmbeddedIdentity
from statera.cloud.identity.installation import Credentials, bootstrap
from statera.cloud.identity.settings import IdentitySettings
from statera.lb.errors import Unauthorized
from statera.store.database import Database
from statera.store.schema import metadata


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass
class Site:
    """A served installation."""

    credentials: Credentials
    database: Database
    settings: IdentitySettings

    @property
    def arguments(self) -> dict[str, Any]:
        """What a client needs to log in as the administrator, named as in clouds.yaml."""
        return {
            "auth_url": self.credentials.auth_url,
            "username": self.credentials.username,
            "password": self.credentials.password or "",
            "project_name": self.credentials.project_name,
            "user_domain_id": self.credentials.domain_id,
            "project_domain_id": self.credentials.domain_id,
        }

    def openstack(self, *commands: str, **arguments: str) -> list[Any]:
        """Run commands in one `openstack` shell; return what each printed as JSON, in order.

        Without `arguments` (named as in clouds.yaml) it runs as the administrator.
        """
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            **{
                f"OS_{name.upper()}": value for name, value in (arguments or self.arguments).items()
            },
        }
        done = subprocess.run(
            [str(Path(sys.executable).parent / "openstack")],
            input="\n".join(commands) + "\n",
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert not done.stderr.strip(), done.stderr
        return list(_documents(done.stdout))


def _documents(text: str) -> Iterator[Any]:
    """Yield the JSON documents in `text`, prompts and blank lines between them left out."""
    decoder, place = json.JSONDecoder(), 0
    while True:
        starts = [found for mark in "[{" if (found := text.find(mark, place)) >= 0]
        if not starts:
            return
        value, place = decoder.raw_decode(text, min(starts))
        yield value


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The application under `/identity`, served on an ephemeral port."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('site')}/identity.db", durable=False)
    metadata.create_all(database.engine)
    with _Server(("127.0.0.1", 0), _Quiet) as server:
        settings = IdentitySettings(public_url=f"http://127.0.0.1:{server.server_port}")
        app = create_app(database, settings)

        def mounted(environ: dict[str, Any], start_response: Any) -> Any:
            assert shift_path_info(environ) == "identity"
            return app(environ, start_response)

        server.set_app(mounted)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Site(bootstrap(database, settings), database, settings)
        finally:
            server.shutdown()
            thread.join()
    database.close()


def _token(arguments: dict[str, Any]) -> str:
    """Return a token from a login with exactly these arguments."""
    return session.Session(auth=v3.Password(**arguments)).get_token() or ""


@pytest.mark.parametrize("path", ["/identity", "/identity/", "/identity/v3", "/identity/v3/"])
def test_keystoneauth_discovers_and_logs_in(site: Site, path: str) -> None:
    """Any of the usual auth URLs works; the token authenticates at the edge."""
    url = site.settings.public_url + path
    auth = v3.Password(**{**site.arguments, "auth_url": url})
    client = session.Session(auth=auth)
    access = auth.get_access(client)
    assert access.role_names == ["admin", "member", "reader"]
    assert access.project_name == "admin"
    endpoint = client.get_endpoint(service_type="load-balancer", interface="internal")
    assert endpoint == f"{site.settings.public_url}/load-balancer"
    answer = client.get("/projects", endpoint_filter={"service_type": "identity", "version": 3})
    assert {row["name"] for row in answer.json()["projects"]} >= {"admin", "demo"}
    caller = EmbeddedIdentity(site.database, site.settings).authenticate(
        {"x-auth-token": client.get_token() or ""}
    )
    assert caller.user_id == access.user_id


def test_generic_plugin_and_invalidation(site: Site) -> None:
    """The version-independent plugin logs in; a revoked token is renewed by the client itself."""
    connection = openstack.connect(**site.arguments)
    old = connection.auth_token
    connection.session.delete(
        f"{site.credentials.auth_url}/auth/tokens", headers={"X-Subject-Token": old}
    )
    assert connection.identity.find_project("demo") is not None
    assert connection.auth_token != old


def test_wrong_password(site: Site) -> None:
    """A refused login is the client's Unauthorized."""
    with pytest.raises(exceptions.Unauthorized):
        _token({**site.arguments, "password": "wrong"})


def test_sdk_objects(site: Site) -> None:
    """openstacksdk creates, finds, changes, assigns and deletes."""
    cloud = openstack.connect(**site.arguments).identity
    project = cloud.create_project(name="sdk", description="made by a client", tags=["one"])
    user = cloud.create_user(name="sdk user", password="pw", default_project_id=project.id)
    role = cloud.find_role("member", ignore_missing=False)
    cloud.assign_project_role_to_user(project, user, role)
    assert cloud.validate_user_has_project_role(project, user, role)
    found = list(cloud.role_assignments(user_id=user.id, include_names=True))
    assert [row.role["name"] for row in found] == ["member"]
    assert cloud.update_project(project, is_enabled=False).is_enabled is False
    assert cloud.update_user(user, email="a@example.com").email == "a@example.com"
    assert [row.name for row in cloud.projects(is_enabled=False)] == ["sdk"]
    cloud.unassign_project_role_from_user(project, user, role)
    cloud.delete_user(user, ignore_missing=False)
    cloud.delete_project(project, ignore_missing=False)
    assert cloud.find_user("sdk user") is None


def test_sdk_application_credential(site: Site) -> None:
    """A credential made by openstacksdk logs in by itself and lists its own projects."""
    connection = openstack.connect(**site.arguments)
    me = connection.current_user_id
    robot = connection.identity.create_application_credential(
        me, "robot", roles=[{"name": "reader"}]
    )
    auth = v3.ApplicationCredential(
        site.credentials.auth_url,
        application_credential_id=robot.id,
        application_credential_secret=robot.secret,
    )
    client = session.Session(auth=auth)
    assert auth.get_access(client).role_names == ["reader"]
    with pytest.raises(exceptions.Forbidden):
        client.get(f"{site.credentials.auth_url}/users")
    connection.identity.delete_application_credential(me, robot, ignore_missing=False)
    with pytest.raises(exceptions.Unauthorized):
        client.get(f"{site.credentials.auth_url}/auth/projects")


def test_openstack_command_reads(site: Site) -> None:
    """Lists and shows of the command line, in one shell."""
    token, catalog, endpoints, services, regions, domains, roles, mine = site.openstack(
        "token issue -f json",
        "catalog list -f json",
        "endpoint list -f json",
        "service list -f json",
        "region list -f json",
        "domain list -f json",
        "role list -f json",
        "project list --my-projects -f json",
    )
    assert set(token) >= {"id", "expires", "project_id", "user_id"}
    assert {row["Type"] for row in catalog} == {"identity", "load-balancer", "network"}
    assert len(endpoints) == 9
    assert {row["Name"] for row in services} == {"keystone", "octavia", "neutron"}
    assert [row["Region"] for row in regions] == ["RegionOne"]
    assert [row["Name"] for row in domains] == ["Default"]
    assert [row["Name"] for row in roles] == ["admin", "member", "reader"]
    assert [row["Name"] for row in mine] == ["admin", "demo"]


def test_openstack_command_writes(site: Site) -> None:
    """Projects, users, roles, assignments, application credentials from creation to deletion."""
    project, user, role, given, names, shown, robot, robots, users, rest = site.openstack(
        "project create blue --description d --tag t -f json",
        "user create ann --password pw --project blue --email a@example.com -f json",
        "role create operator -f json",
        "role add --user ann --project blue operator",
        "role add --user ann --project blue member",
        "role assignment list --user ann --project blue -f json",
        "role assignment list --user ann --names --effective -f json",
        "project set blue --description changed",
        "user set ann --disable",
        "user set ann --enable --password other",
        "project show blue -f json",
        "application credential create robot --role reader --secret s -f json",
        "application credential list -f json",
        "application credential delete robot",
        "user list --project blue -f json",
        "role remove --user ann --project blue operator",
        "role delete operator",
        "user delete ann",
        "project delete blue",
        "project list -f json",
    )
    assert (project["name"], user["name"], role["name"]) == ("blue", "ann", "operator")
    assert len(given) == 2
    assert {row["Role"] for row in names} == {"member", "operator", "reader"}
    assert {row["Project"] for row in names} == {"blue@Default"}
    assert shown["description"] == "changed"
    assert robot["Secret"] == "s"
    assert [row["Name"] for row in robots] == ["robot"]
    assert [row["Name"] for row in users] == ["ann"]
    assert [row["Name"] for row in rest] == ["admin", "demo"]


def test_openstack_command_changes_password_and_revokes(site: Site) -> None:
    """`user password set` and `token revoke` do what they say."""
    cloud = openstack.connect(**site.arguments).identity
    user = cloud.create_user(name="bob", password="old")
    cloud.assign_project_role_to_user(
        cloud.find_project("demo"), user, cloud.find_role("reader", ignore_missing=False)
    )
    arguments = {**site.arguments, "username": "bob", "project_name": "demo"}
    token = _token({**arguments, "password": "old"})
    identity = EmbeddedIdentity(site.database, site.settings)
    assert identity.authenticate({"x-auth-token": token}).roles == {"reader"}
    site.openstack(
        "user password set --original-password old --password new",
        **{**arguments, "password": "old"},
    )
    with pytest.raises(Unauthorized):
        identity.authenticate({"x-auth-token": token})
    with pytest.raises(exceptions.Unauthorized):
        _token({**arguments, "password": "old"})
    fresh = _token({**arguments, "password": "new"})
    site.openstack(f"token revoke {fresh}")
    with pytest.raises(Unauthorized):
        identity.authenticate({"x-auth-token": fresh})
    cloud.delete_user(user, ignore_missing=False)
