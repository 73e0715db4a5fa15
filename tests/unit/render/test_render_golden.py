"""Documents and the configurations they become, each accepted by the real binary.

`golden/<name>.json` is the document, `golden/<name>.cfg` the text; after a wanted change, run with
`STATERA_GOLDEN=write` and read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from statera.render.haproxy import render
from statera.render.options import Options
from statera.spec.document import AmphoraSpec

_GOLDEN = Path(__file__).with_name("golden")
_NAMES = sorted(path.stem for path in _GOLDEN.glob("*.json"))


@pytest.mark.parametrize("name", _NAMES)
def test_golden(name: str, options: Options, judge: Callable[[str], None]) -> None:
    """The document renders to exactly the kept text, and HAProxy accepts that without a warning."""
    document = msgspec.json.decode((_GOLDEN / f"{name}.json").read_bytes(), type=AmphoraSpec)
    rendered = render(document, options)
    kept = _GOLDEN / f"{name}.cfg"
    if os.environ.get("STATERA_GOLDEN") == "write":
        kept.write_text(rendered.text)
    assert rendered.text == kept.read_text()
    judge(rendered.text)


@pytest.mark.parametrize("name", _NAMES)
def test_every_line_has_its_owner(name: str, options: Options) -> None:
    """Each line of an object belongs to it: a member's `server` line names that member."""
    document = msgspec.json.decode((_GOLDEN / f"{name}.json").read_bytes(), type=AmphoraSpec)
    rendered = render(document, options)
    lines = rendered.text.splitlines()
    assert len(lines) == len(rendered.owners)
    for line, owner in zip(lines, rendered.owners, strict=True):
        words = line.split()
        if words[:1] == ["server"]:
            assert owner == ("member", words[1])
        elif words[:1] == ["frontend"]:
            assert owner == ("listener", words[1])
        elif words[:1] == ["backend"]:
            assert owner == ("pool", words[1].partition(".")[0])
        elif words[:1] in (["http-check"], ["default-server"]) and "check" in line:
            assert owner.object_type == "healthmonitor"
        elif words[:1] == ["global"]:
            assert owner == ("loadbalancer", document.load_balancer_id)
