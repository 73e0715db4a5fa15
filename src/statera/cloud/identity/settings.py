"""What an operator may choose about the embedded identity."""

from __future__ import annotations

from dataclasses import dataclass

from statera.service.settings import option


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Settings of the embedded identity; times in seconds."""

    public_url: str = option(
        "http://127.0.0.1:9876",
        "URL under which clients reach this installation, without a trailing slash; every URL of "
        "the catalogue begins with it. The default serves one machine.",
    )
    region: str = option("RegionOne", "Name of the only region; what OpenStack clients expect.")
    token_lifetime: int = option(
        3600, "Life of a token: an hour outlives every command and few thefts.", min=60
    )
    key_lifetime: int = option(
        86400, "Age at which the key that signs tokens is replaced by a new one.", min=60
    )
    argon2_time: int = option(2, "Passes of argon2id; with 19 MiB what OWASP recommends.", min=1)
    argon2_memory: int = option(
        19456, "Memory of one argon2id hash in KiB; parallel logins need it each.", min=8
    )
    argon2_lanes: int = option(1, "Lanes of argon2id: one, logins run in parallel already.", min=1)
    login_attempts: int = option(
        5, "Failed logins of one user from one address before a pause is imposed.", min=1
    )
    source_attempts: int = option(
        20,
        "Failed logins from one address, whatever the user, before a pause is imposed; above "
        "`login_attempts` because a proxy or a gateway may stand for many users.",
        min=1,
    )
    login_pause: int = option(
        60, "Longest pause after failed logins; it doubles from one second up to this.", min=1
    )
    max_body: int = option(114688, "Largest request body in bytes; Keystone's own limit.", min=1024)
