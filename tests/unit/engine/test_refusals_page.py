"""The page of refusals says what the tests of refusals try."""

from __future__ import annotations

from tests.dataplane.safety.refusals import CASES, PAGE, line, page


def test_the_page_is_the_table() -> None:
    """`python -m tests.dataplane.safety.refusals` writes it; every kind of object is a culprit."""
    assert PAGE.read_text() == page()
    assert len({line(case) for case in CASES}) == len(CASES)
    kinds = {case.culprit[0] for case in CASES if case.culprit}
    assert kinds == {"loadbalancer", "listener", "pool", "member", "healthmonitor"}
