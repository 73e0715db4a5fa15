"""The house rules of CONTRIBUTING.md that a machine can hold, so that no review has to."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import grimp
import pytest

import statera
from tools import links

ROOT = Path(__file__).resolve().parents[2]
TREES = ("src", "tests", "bench", "tools")
SOURCES = sorted(
    path.relative_to(ROOT)
    for tree in TREES
    for path in (ROOT / tree).rglob("*.py")
    if "__pycache__" not in path.parts
)
PURE = ("lb", "spec", "plan", "render")

FILE_LINES = 600
FUNCTION_LINES = 60
PARAMETERS = 5
GRAB_BAGS = {"utils", "util", "common", "base", "manager", "helpers", "misc"}
# Spelled in halves, so that a search of the repository for them finds nothing.
MARKS = ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error")
UNFINISHED = re.compile("|".join(MARKS))
TARGETS = ("help", "demo", "down", "test", "check", "fmt", "bench", "docs")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path), str(path))


def _functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(_tree(path)) if isinstance(node, Function)]


def _parameters(function: Function) -> int:
    every = function.args
    names = [argument.arg for argument in every.posonlyargs + every.args + every.kwonlyargs]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def _project() -> dict[str, list[str] | dict[str, list[str]]]:
    project: dict[str, list[str] | dict[str, list[str]]]
    project = tomllib.loads(_text(Path("pyproject.toml")))["project"]
    return project


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-").replace(".", "-")


def test_no_file_is_too_long() -> None:
    """A file has at most 600 lines (we aim at 400)."""
    lengths = {path: _text(path).count("\n") for path in SOURCES}
    over = {str(path): lines for path, lines in lengths.items() if lines > FILE_LINES}
    assert not over, f"more than {FILE_LINES} lines; split each by what its parts are about: {over}"


def test_no_function_is_too_long() -> None:
    """A function has at most 60 lines (we aim at 40)."""
    over = [
        f"{path}:{node.lineno} {node.name} ({lines} lines)"
        for path in SOURCES
        for node in _functions(path)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    assert not over, f"more than {FUNCTION_LINES} lines; name the parts: {over}"


def test_no_function_has_too_many_parameters() -> None:
    """A function of the package takes at most 5 parameters, self not counted."""
    over = [
        f"{path}:{node.lineno} {node.name} ({count})"
        for path in SOURCES
        if path.parts[0] == "src"
        for node in _functions(path)
        if (count := _parameters(node)) > PARAMETERS
    ]
    assert not over, f"more than {PARAMETERS} parameters; which of them belong together? {over}"


def test_every_module_says_why_it_exists() -> None:
    """Every module opens with a docstring."""
    silent = [str(path) for path in SOURCES if not ast.get_docstring(_tree(path))]
    assert not silent, f"no docstring: {silent}"


def test_every_test_says_what_it_claims() -> None:
    """Every test function has a docstring."""
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path in SOURCES
        if path.name.startswith("test_")
        for node in _functions(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent, f"no docstring: {silent}"


def test_nothing_is_left_unfinished() -> None:
    """No word in the code marks something that is still to be done."""
    marked = [
        f"{path}:{number}"
        for path in SOURCES
        for number, line in enumerate(_text(path).splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not marked, f"finish it or open an issue: {marked}"


def test_no_grab_bags() -> None:
    """No module or package has a name under which anything could be put."""
    bags = [str(path) for path in SOURCES if GRAB_BAGS & {*path.parent.parts, path.stem}]
    assert not bags, f"name it after what is in it: {bags}"


def test_folders_are_two_deep() -> None:
    """Below `src/statera` there are folders in folders, and no deeper."""
    deep = [str(path) for path in SOURCES if path.parts[0] == "src" and len(path.parts) > 5]
    assert not deep, f"more than two folders deep: {deep}"


def test_the_pure_core_asks_no_clock() -> None:
    """In the pure floors the time is an argument: nothing calls `now()` or `today()`."""
    asked = [
        f"{path}:{node.lineno}"
        for path in SOURCES
        if path.parts[2:3] and path.parts[0] == "src" and path.parts[2] in PURE
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"now", "utcnow", "today"}
    ]
    assert not asked, f"take the time as an argument: {asked}"


def test_the_agent_extra_holds_all_that_the_agent_reaches() -> None:
    """What the agent imports, directly or not, is standard or in `statera[agent]`."""
    graph = grimp.build_graph("statera", include_external_packages=True)
    reached = graph.find_upstream_modules("statera.agent", as_package=True)
    outside = {name.partition(".")[0] for name in reached} - {"statera"} - sys.stdlib_module_names
    extras = _project()["optional-dependencies"]
    assert isinstance(extras, dict)
    missing = {name.replace("_", "-") for name in outside} - {_name(one) for one in extras["agent"]}
    assert not missing, f"add to the extra `agent`, or do not import there: {missing}"


def test_the_agent_extra_is_part_of_the_base() -> None:
    """`pip install statera` brings at least what `statera[agent]` names, in the same versions."""
    project = _project()
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    assert set(extras["agent"]) <= set(project["dependencies"])


def test_every_dependency_is_pinned() -> None:
    """Each direct dependency, extras too, has an exact version in constraints.txt."""
    lines = _text(Path("constraints.txt")).splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", line) for line in lines)
    assert lines == sorted(lines, key=str.lower)
    project = _project()
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    wanted = {_name(one) for group in (project["dependencies"], *extras.values()) for one in group}
    assert not wanted - {_name(line) for line in lines}


def test_version_is_the_newest_in_the_changelog() -> None:
    """The version is the newest release or, while fragments wait, the one they will make."""
    number = re.compile(r"^## (\d+)\.(\d+)\.(\d+) ", re.MULTILINE)
    released = [tuple(map(int, entry)) for entry in number.findall(_text(Path("CHANGELOG.md")))]
    [version] = [tuple(map(int, entry)) for entry in number.findall(f"## {statera.__version__} ")]
    waiting = [path.name for path in (ROOT / "changelog.d").glob("*.*.md")]
    assert released == sorted(released, reverse=True)
    if waiting:
        assert version >= max(released, default=(0, 0, 0)), f"{waiting} wait for a new version"
    else:
        assert [version] == released[:1]


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows(target: str) -> None:
    """`make help` names each target that the documentation speaks of."""
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"make {target} " in shown.stdout


def test_every_link_leads_somewhere() -> None:
    """Each link between the documents has its target, and each decision is listed."""
    assert {
        str(path): faults for path in links.documents() if (faults := list(links.broken(path)))
    } == {}
    assert list(links.unlisted()) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """Links to a missing file or heading are reported; good ones and code blocks are not."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`, three\n[a](page.md#one-two-three) [b](#one-two-three) [c](page.md)\n"
        "[d](gone.md) [e](#gone) [f](page.md#gone)\n```\n[g](code.md)\n```\n"
    )
    assert list(links.broken(page)) == [
        "gone.md: no such file",
        "#gone: no such heading",
        "page.md#gone: no such heading",
    ]
