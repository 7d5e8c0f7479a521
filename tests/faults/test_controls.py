"""Controls of the plan: an index made careless on purpose loses rows, and the rows say so."""

import plan
import pytest

ROW = "import json\n{careless}\n(row,) = {module}.run(4)\nprint('ROW', json.dumps(row))"
EARLY = """
import kills

index = kills.index

def promise(say, images, library):
    "Acknowledge the images of the next version with those of this one."
    index(lambda rows: say(rows + kills.SEGMENT_ROWS), images, library)

kills.index = promise
"""
UNSYNCED = """
import power_cuts
from explorer import files

files._sync = lambda path: None
"""


def faults(module, careless):
    """The row of a careless index."""
    code = ROW.format(careless=careless, module=module)
    return plan.row_of(["-c", code])[0]


@pytest.mark.slow
def test_kills_show_what_is_acknowledged_too_early():
    row = faults("kills", EARLY)
    assert row.lost > 0, row


@pytest.mark.slow
def test_power_cuts_show_what_is_not_synced():
    row = faults("power_cuts", UNSYNCED)
    if not row.count:
        pytest.skip(row.note)
    assert row.lost + row.silently_wrong > 0, row
