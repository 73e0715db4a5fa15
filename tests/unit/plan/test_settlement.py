"""The rule of settling as a table."""

from __future__ import annotations

from typing import Any

import pytest

from statera.plan.settlement import Outcome, Pending, by_object, outcome
from statera.spec.report import Fault
from tests.unit.plan.rows import pool

CLEARED, KEPT, RENEWED = Pending.CLEARED, Pending.KEPT, Pending.RENEWED
FINAL = Fault(object_type="pool", object_id="p", text="refused")
RETRY = Fault(object_type="pool", object_id="p", text="later", final=False)


def row(**values: Any) -> Any:
    return pool(**{"generation": 5, "born": 3, "settled": 0, **values})


@pytest.mark.parametrize(
    ("given", "applied", "fault", "expected"),
    [
        pytest.param({}, 2, None, None, id="younger than what is in force"),
        pytest.param({}, 5, None, Outcome(5, CLEARED), id="in force"),
        pytest.param({}, 9, None, Outcome(5, CLEARED), id="long in force"),
        pytest.param({}, 4, None, Outcome(4, RENEWED), id="an older wish is in force"),
        pytest.param({"settled": 4}, 4, None, None, id="nothing new"),
        pytest.param({"settled": 5, "pending_since": None}, 4, None, None, id="never backwards"),
        pytest.param(
            {"settled": 5, "pending_since": None, "fault": "x", "fault_generation": 5},
            5, None, Outcome(5, CLEARED), id="success clears a fault",
        ),
        pytest.param({}, 5, FINAL, Outcome(5, CLEARED, "refused", 5), id="refused for good"),
        pytest.param({}, 4, FINAL, Outcome(4, RENEWED, "refused"), id="an older wish was refused"),
        pytest.param(
            {"settled": 5, "pending_since": None}, 4, FINAL, Outcome(5, CLEARED, "refused", 5),
            id="refused in an unchanged document",
        ),
        pytest.param(
            {"settled": 5, "pending_since": None, "fault": "refused", "fault_generation": 5},
            5, FINAL, None, id="refused as before",
        ),
        pytest.param({}, 5, RETRY, Outcome(0, KEPT, "later"), id="the agent tries again"),
        pytest.param({}, 0, RETRY, Outcome(0, KEPT, "later"), id="nothing was ever in force"),
        pytest.param(
            {"live": None}, 5, None, Outcome(5, CLEARED, removed=True), id="doomed and gone"
        ),
        pytest.param({"live": None}, 4, None, Outcome(4, RENEWED), id="doomed, not yet gone"),
        pytest.param(
            {"live": None}, 5, FINAL, Outcome(5, CLEARED, removed=True), id="doomed with a fault"
        ),
    ],
)  # fmt: skip
def test_outcome(
    given: dict[str, Any], applied: int, fault: Fault | None, expected: Outcome | None
) -> None:
    """What becomes of a row when a generation is in force."""
    assert outcome(row(**given), applied, fault) == expected


def test_a_final_fault_outweighs_a_retryable_one() -> None:
    """Of two faults of one object the one that the user can act upon is shown."""
    assert by_object([FINAL, RETRY])["p"] is FINAL
    assert by_object([RETRY, FINAL])["p"] is FINAL
