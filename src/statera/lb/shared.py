"""Attributes that several resources have in the same words."""

from __future__ import annotations

from statera.lb.declare import (
    ABSENT,
    DEFAULT,
    FALSE,
    NO,
    Attr,
    output,
    related,
)
from statera.lb.kinds import (
    IDENTITY,
    REFERENCES,
    TIMESTAMP,
    WORD,
    Boolean,
    Listing,
    Text,
)

ID = output(IDENTITY, "Id of the object")
NAME = Attr(Text(), "Name for people", update=True, default="", blank=True)
DESCRIPTION = Attr(Text(), "Description for people", update=True, default="", blank=True)
PROVISIONING_STATUS = output(WORD, "How far the last change has got", stored=False)
OPERATING_STATUS = output(WORD, "Health as the data plane sees it")
ADMIN_STATE_UP = Attr(
    Boolean(),
    "Whether the object is to work",
    update=True,
    default=True,
    null_on_create=FALSE,
    null_on_update=FALSE,
)
PROJECT_ID = Attr(Text(36), "Owning project", tree=NO)
CREATED_AT = output(TIMESTAMP, "When it was created (UTC)")
UPDATED_AT = output(TIMESTAMP, "When it was last changed (UTC)")
TAGS = Attr(
    Listing(Text(), unique=True),
    "Words to find it by",
    update=True,
    default=[],
    null_on_create=DEFAULT,
    null_on_update=ABSENT,
    since="2.5",
    stored=False,
    filtered=False,
)
LOAD_BALANCERS = related(REFERENCES, "The load balancer it belongs to", tree=NO)
LISTENERS = related(REFERENCES, "Listeners that use it", tree=NO)
POOLS = related(REFERENCES, "Pools that it belongs to", tree=NO)
MEMBERS = related(REFERENCES, "Members of the pool", tree=NO)
