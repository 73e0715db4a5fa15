"""The walk through the house names real files and functions, and the try-out real attributes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
NAMED = re.compile(r"`([a-z_0-9/]+\.py)(?::([A-Za-z_.]+))?`")

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def names(path: Path) -> Iterator[str]:
    """Yield each function and class of a file, methods as `Class.method`."""

    def below(node: ast.AST, prefix: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                yield prefix + child.name
                yield from below(child, f"{prefix}{child.name}.")

    return below(ast.parse(path.read_text(encoding="utf-8")), "")


def missing(page: str) -> list[str]:
    """Return what a page names and the house does not have."""
    found = []
    for file, name in NAMED.findall(page):
        path = next((p for p in (ROOT / "src/statera" / file, ROOT / file) if p.exists()), None)
        if path is None:
            found.append(file)
        elif name and name not in names(path):
            found.append(f"{file}:{name}")
    return found


def test_everything_on_the_way_exists() -> None:
    """Each `path` and `path:function` of docs/architecture.md is there."""
    page = PAGE.read_text(encoding="utf-8")
    assert len(NAMED.findall(page)) > 40
    assert missing(page) == []


@pytest.mark.parametrize(
    "gone", ["store/work.py:clam", "store/works.py", "agent/haproxy/engine.py:Engine.aply"]
)
def test_what_does_not_exist_is_found(gone: str) -> None:
    """A file or a function that is not there is reported; what is there is not."""
    assert missing(f"`{gone}` after `store/work.py:claim` and `lb/member.py`") == [gone]
