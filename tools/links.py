"""Check that every link in the documentation leads somewhere.

Reads the Markdown files of the repository (top folder, `docs/`, `.github/`).  A relative link must
name a file or folder that exists, a link to a heading one that stands there, and each decision must
be reachable from `docs/decisions/README.md`.  Addresses on other machines are not visited: whether
they answer says nothing about this repository.  Prints what is wrong; exit code 1 then.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DECISIONS = ROOT / "docs" / "decisions"

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z]+:")


def documents() -> list[Path]:
    """Return the Markdown files that are held to the rule."""
    folders = (ROOT.glob("*.md"), (ROOT / "docs").rglob("*.md"), (ROOT / ".github").rglob("*.md"))
    return sorted(path for folder in folders for path in folder)


def _prose(path: Path) -> str:
    """Return the text without its code blocks, in which brackets are no links."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def _anchors(path: Path) -> set[str]:
    """Return the names under which the headings can be linked to, made as forges make them."""
    headings = _HEADING.findall(_prose(path))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def broken(path: Path) -> Iterator[str]:
    """Yield for each link of `path` that leads nowhere the link and what is missing."""
    for link in _LINK.findall(_prose(path)):
        if _ELSEWHERE.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists():
            yield f"{link}: no such file"
        elif anchor and (target.suffix != ".md" or anchor not in _anchors(target)):
            yield f"{link}: no such heading"


def unlisted() -> Iterator[str]:
    """Yield the name of each decision that the list of decisions does not link to."""
    listed = set(_LINK.findall((DECISIONS / "README.md").read_text(encoding="utf-8")))
    return (path.name for path in sorted(DECISIONS.glob("[0-9]*.md")) if path.name not in listed)


def main() -> int:
    """Print every fault and return the exit code."""
    paths = documents()
    faults = [f"{path.relative_to(ROOT)}: {fault}" for path in paths for fault in broken(path)]
    faults += [f"docs/decisions/README.md: does not link to {name}" for name in unlisted()]
    print("\n".join(faults) or f"{len(paths)} documents, every link leads somewhere")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
