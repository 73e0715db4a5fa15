"""Shapes of request bodies.  Unknown keys are ignored, as Keystone does; known ones are checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

_CLEAN = r"\A[^\x00]*\Z"
_NAMED = r"\A[^\x00]*[^\x00\s][^\x00]*\Z"

Reference = Annotated[str, Meta(min_length=1, max_length=255, pattern=_CLEAN)]
"""An id or a name that is looked up."""
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=_NAMED)]
ShortName = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NAMED)]
Line = Annotated[str, Meta(max_length=255, pattern=_CLEAN)]
Id = Annotated[str, Meta(min_length=1, max_length=36, pattern=_CLEAN)]
Prose = Annotated[str, Meta(pattern=_CLEAN)]
Secret = Annotated[str, Meta(min_length=1, max_length=4096)]
Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\x00,/]+\Z")]
Tags = Annotated[list[Tag], Meta(max_length=80)]
Options = Annotated[dict[str, Any], Meta(max_length=0)]
"""Keystone's options restrict or lock; we have none of them, so none is accepted in silence."""


class Ref(Struct):
    """A domain or a role, by id or by name."""

    id: Reference | None = None
    name: Reference | None = None


class ScopedRef(Ref):
    """A user or a project: by id, or by name within a domain."""

    domain: Ref | None = None


class PasswordUser(ScopedRef, kw_only=True):
    """Who logs in, and the password."""

    password: Secret


class PasswordMethod(Struct):
    """The method `password`."""

    user: PasswordUser


class TokenMethod(Struct):
    """The method `token`."""

    id: Secret


class CredentialMethod(Struct, kw_only=True):
    """The method `application_credential`."""

    secret: Secret
    id: Reference | None = None
    name: Reference | None = None
    user: ScopedRef | None = None


class Methods(Struct):
    """Ways of authentication; all that are listed must succeed."""

    methods: Annotated[list[Reference], Meta(min_length=1, max_length=8)]
    password: PasswordMethod | UnsetType = UNSET
    token: TokenMethod | UnsetType = UNSET
    application_credential: CredentialMethod | UnsetType = UNSET


class Scope(Struct):
    """What the token shall be for."""

    project: ScopedRef | UnsetType = UNSET
    domain: Any = UNSET
    system: Any = UNSET
    unscoped: Any = UNSET


class Auth(Struct):
    """Identity and scope."""

    identity: Methods
    scope: Scope | Literal["unscoped"] | None = None


class AuthBody(Struct):
    """POST /v3/auth/tokens."""

    auth: Auth


class ProjectCreate(Struct, kw_only=True):
    """Attributes of a new project."""

    name: ShortName
    domain_id: Reference | None = None
    parent_id: Reference | None = None
    is_domain: bool = False
    description: Prose | None = None
    enabled: bool = True
    tags: Tags = []
    options: Options = {}


class ProjectUpdate(Struct):
    """Attributes of a project that can change."""

    name: ShortName | UnsetType = UNSET
    domain_id: Reference | UnsetType = UNSET
    description: Prose | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    options: Options = {}
    tags: Tags | UnsetType = UNSET


class ProjectCreateBody(Struct):
    """POST /v3/projects."""

    project: ProjectCreate


class ProjectUpdateBody(Struct):
    """PATCH /v3/projects/{id}."""

    project: ProjectUpdate


class UserCreate(Struct, kw_only=True):
    """Attributes of a new user."""

    name: Name
    password: Secret | None = None
    domain_id: Reference | None = None
    description: Prose | None = None
    email: Line | None = None
    default_project_id: Id | None = None
    enabled: bool = True
    options: Options = {}


class UserUpdate(Struct):
    """Attributes of a user that can change."""

    name: Name | UnsetType = UNSET
    password: Secret | UnsetType = UNSET
    domain_id: Reference | UnsetType = UNSET
    description: Prose | UnsetType | None = UNSET
    email: Line | UnsetType | None = UNSET
    default_project_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    options: Options = {}


class UserCreateBody(Struct):
    """POST /v3/users."""

    user: UserCreate


class UserUpdateBody(Struct):
    """PATCH /v3/users/{id}."""

    user: UserUpdate


class PasswordChange(Struct):
    """Old and new password."""

    original_password: Secret
    password: Secret


class PasswordChangeBody(Struct):
    """POST /v3/users/{id}/password."""

    user: PasswordChange


class RoleCreate(Struct):
    """Attributes of a new role."""

    name: Name
    description: Prose | None = None
    domain_id: Reference | None = None
    options: Options = {}


class RoleUpdate(Struct):
    """Attributes of a role that can change."""

    name: Name | UnsetType = UNSET
    description: Prose | UnsetType | None = UNSET
    options: Options = {}


class RoleCreateBody(Struct):
    """POST /v3/roles."""

    role: RoleCreate


class RoleUpdateBody(Struct):
    """PATCH /v3/roles/{id}."""

    role: RoleUpdate


class CredentialCreate(Struct, kw_only=True):
    """Attributes of a new application credential; `expires_at` in ISO 8601, UTC without a zone."""

    name: Name
    secret: Secret | None = None
    description: Prose | None = None
    expires_at: Line | None = None
    roles: Annotated[list[Ref], Meta(max_length=100)] | None = None
    unrestricted: bool = False
    access_rules: list[Any] | None = None


class CredentialCreateBody(Struct):
    """POST /v3/users/{id}/application_credentials."""

    application_credential: CredentialCreate
