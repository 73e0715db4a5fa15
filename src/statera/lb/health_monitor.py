"""The health monitor: how a pool finds out which members work."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from statera.lb import shared
from statera.lb.declare import DEFAULT, NO, REFUSE, REQUIRED, Attr, Info, Resource
from statera.lb.kinds import Choice, Integer, Number, Text, Uuid
from statera.lb.protocols import MONITOR_TYPES
from statera.lb.statuses import OFFLINE

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH")
_PATH = re.compile(r"^/(?!/)[^\s\x00-\x1f\x7f]*\Z")
_CODES = re.compile(r"^(\d{3}(\s*,\s*\d{3})*|\d{3}-\d{3})\Z")
_DOMAIN = re.compile(r"^(?=.{1,253}\.?\Z)(?:(?!-|[^.]+_)[A-Za-z0-9-_]{1,63}(?<!-)(?:\.|\Z))+\Z")

POOL_ID = Attr(Uuid(), "Pool to watch", create=REQUIRED, tree=NO, shown=False)
TYPE = Attr(Choice(MONITOR_TYPES), "Kind of probe", create=REQUIRED)
DELAY = Attr(
    Integer(0), "Seconds between probes", create=REQUIRED, update=True, null_on_update=REFUSE
)
TIMEOUT = Attr(
    Integer(0), "Seconds a probe may take", create=REQUIRED, update=True, null_on_update=REFUSE
)
MAX_RETRIES = Attr(
    Integer(1, 10),
    "Successes before a member is ONLINE",
    create=REQUIRED,
    update=True,
    null_on_update=REFUSE,
)
MAX_RETRIES_DOWN = Attr(
    Integer(1, 10),
    "Failures before a member is in ERROR",
    update=True,
    default=3,
    null_on_create=DEFAULT,
    null_on_update=DEFAULT,
)
HTTP_METHOD = Attr(Choice(METHODS), "Method of an HTTP probe", update=True)
URL_PATH = Attr(
    Text(2048, pattern=_PATH, refusal="Value must be a valid URL Path string"),
    "Path of an HTTP probe",
    update=True,
)
EXPECTED_CODES = Attr(
    Text(64, pattern=_CODES, refusal="Value should be a list of codes or one range"),
    "Codes of a healthy answer: a list or one range",
    update=True,
)
HTTP_VERSION = Attr(Number((1.0, 1.1)), "Version of an HTTP probe", update=True, since="2.10")
DOMAIN_NAME = Attr(
    Text(255, 1, _DOMAIN, "Value should be a valid domain name"),
    "Host header of an HTTP probe",
    update=True,
    since="2.10",
)


class HealthMonitor(Resource, frozen=True, kw_only=True):
    """One per pool.  `http_method`, `url_path` and `expected_codes` are for HTTP and HTTPS only."""

    info: ClassVar[Info] = Info(
        root="healthmonitor",
        plural="healthmonitors",
        argument="health_monitor_",
        title="Health Monitor",
    )

    load_balancer_id: str = ""

    id: Annotated[str, shared.ID]
    name: Annotated[str | None, shared.NAME] = ""
    type: Annotated[str, TYPE]
    delay: Annotated[int, DELAY]
    timeout: Annotated[int, TIMEOUT]
    max_retries: Annotated[int, MAX_RETRIES]
    max_retries_down: Annotated[int, MAX_RETRIES_DOWN] = 3
    http_method: Annotated[str | None, HTTP_METHOD] = None
    url_path: Annotated[str | None, URL_PATH] = None
    expected_codes: Annotated[str | None, EXPECTED_CODES] = None
    admin_state_up: Annotated[bool, shared.ADMIN_STATE_UP] = True
    project_id: Annotated[str, shared.PROJECT_ID] = ""
    pool_id: Annotated[str, POOL_ID] = ""
    pools: Annotated[list[str], shared.POOLS] = []
    provisioning_status: Annotated[str, shared.PROVISIONING_STATUS] = ""
    operating_status: Annotated[str, shared.OPERATING_STATUS] = OFFLINE
    created_at: Annotated[str | None, shared.CREATED_AT] = None
    updated_at: Annotated[str | None, shared.UPDATED_AT] = None
    tags: Annotated[list[str], shared.TAGS] = []
    http_version: Annotated[float | None, HTTP_VERSION] = None
    domain_name: Annotated[str | None, DOMAIN_NAME] = None
