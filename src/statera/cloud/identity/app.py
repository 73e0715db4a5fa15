"""The embedded identity as a WSGI application: Keystone's API v3, mounted under any prefix."""

from __future__ import annotations

from typing import Any

import falcon

from statera.cloud.identity.application_credentials import CredentialsApi
from statera.cloud.identity.assignments import AssignmentsApi, GrantsApi
from statera.cloud.identity.authentication import MineApi, TokensApi
from statera.cloud.identity.catalogue import CatalogueApi
from statera.cloud.identity.discovery import DiscoveryApi
from statera.cloud.identity.domains import DomainsApi
from statera.cloud.identity.parts import Parts
from statera.cloud.identity.projects import ProjectsApi
from statera.cloud.identity.role_api import RolesApi
from statera.cloud.identity.settings import IdentitySettings
from statera.cloud.identity.users import PasswordApi, UsersApi
from statera.cloud.identity.wire import Gate, install_errors
from statera.store.database import Database

App = falcon.App[falcon.Request, falcon.Response]


def create_app(database: Database, settings: IdentitySettings) -> App:
    """Return the application; mount it with SCRIPT_NAME set (`/identity`)."""
    parts = Parts.of(database, settings)
    app = falcon.App(middleware=[Gate(parts.tokens, settings.max_body)])
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.keep_blank_qs_values = True
    install_errors(app)
    _route(app, parts)
    return app


def _route(app: App, parts: Parts) -> None:
    discovery, mine, domains = DiscoveryApi(), MineApi(parts), DomainsApi()
    app.add_route("/", discovery)
    app.add_route("/v3", discovery, suffix="version")
    app.add_route("/v3/auth/tokens", TokensApi(parts))
    app.add_route("/v3/auth/projects", mine, suffix="projects")
    app.add_route("/v3/auth/catalog", mine, suffix="catalog")
    app.add_route("/v3/auth/domains", domains, suffix="mine")
    _objects(app, "/v3/domains", "domain_id", domains)
    _objects(app, "/v3/projects", "project_id", ProjectsApi(parts))
    _objects(app, "/v3/roles", "role_id", RolesApi(parts))
    for kind in ("services", "endpoints", "regions"):
        _objects(app, f"/v3/{kind}", "object_id", CatalogueApi(parts.catalog, kind))
    users = UsersApi(parts)
    _objects(app, "/v3/users", "user_id", users)
    app.add_route("/v3/users/{user_id}/projects", users, suffix="projects")
    app.add_route("/v3/users/{user_id}/groups", users, suffix="groups")
    app.add_route("/v3/users/{user_id}/password", PasswordApi(parts))
    _objects(
        app,
        "/v3/users/{user_id}/application_credentials",
        "credential_id",
        CredentialsApi(parts),
    )
    grants = "/v3/projects/{project_id}/users/{user_id}/roles"
    _objects(app, grants, "role_id", GrantsApi(parts))
    app.add_route("/v3/role_assignments", AssignmentsApi(parts))


def _objects(app: App, path: str, key: str, resource: Any) -> None:
    app.add_route(path, resource)
    app.add_route(f"{path}/{{{key}}}", resource, suffix="one")
