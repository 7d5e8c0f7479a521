"""A filter keeps the rows that hold a wanted value, whatever its type."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from explorer.errors import QueryError
from explorer.library.filters import MAX_MASKS, Filters

DAY = datetime.date(2020, 1, 2)
COLUMNS = {
    "text": ["a", "b", None, "True", "a"],
    "number": [1, 2, None, 4, 1],
    "half": [1.0, 2.5, float("nan"), None, 1.0],
    "yes": [True, False, None, True, True],
    "bytes": [b"x", b"y", None, b"\xff", b"x"],
    "day": [DAY, DAY, None, datetime.date(1999, 1, 1), DAY],
    "list": [["p"], ["q", "r"], None, [], ["p"]],
}


@pytest.fixture
def filters():
    chunks = [pa.table(COLUMNS).slice(0, 2), pa.table(COLUMNS).slice(2)]
    return Filters(pa.concat_tables(chunks))


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({"text": "a"}, [0, 4]),
        ({"text": ["a", "b"]}, [0, 1, 4]),
        ({"text": None}, [2]),
        ({"text": [None, "b"]}, [1, 2]),
        ({"text": True}, [3]),
        ({"number": 1}, [0, 4]),
        ({"number": "1"}, [0, 4]),
        ({"number": 1.0}, [0, 4]),
        ({"half": 1}, [0, 4]),
        ({"half": "2.5"}, [1]),
        ({"half": None}, [2, 3]),
        ({"yes": "true"}, [0, 3, 4]),
        ({"yes": False}, [1]),
        ({"bytes": "x"}, [0, 4]),
        ({"bytes": b"y"}, [1]),
        ({"day": "2020-01-02"}, [0, 1, 4]),
        ({"day": None}, [2]),
        ({"list": None}, [2]),
        ({"text": "a", "number": [1, 2]}, [0, 4]),
        ({"text": "a", "number": 2}, []),
    ],
)
def test_rows_with_a_wanted_value_are_kept(filters, where, rows):
    for _ in range(2):  # the second time from what was kept
        assert np.flatnonzero(filters.matching(where, None)).tolist() == rows


def test_excluded_rows_are_left_out_of_this_search_only(filters):
    assert filters.matching({}, None) is None
    assert np.flatnonzero(filters.matching({"text": "a"}, [0])).tolist() == [4]
    assert np.flatnonzero(filters.matching({"text": "a"}, None)).tolist() == [0, 4]
    assert np.flatnonzero(filters.matching({}, [1, 2])).tolist() == [0, 3, 4]


def test_a_kept_mask_cannot_be_written_to_and_few_are_kept(filters):
    mask = filters.matching({"text": "a"}, None)
    assert filters.matching({"text": ["a"]}, None) is mask
    with pytest.raises(ValueError, match="read-only"):
        mask[0] = False
    for number in range(MAX_MASKS):
        filters.matching({"text": ["a", str(number)]}, None)
    assert filters.matching({"text": "a"}, None) is not mask


def test_what_no_row_has_is_told_with_what_they_have(filters):
    with pytest.raises(QueryError, match=r"no column 'txt'; its columns are text, number"):
        filters.matching({"txt": 1}, None)
    with pytest.raises(
        QueryError, match=r"No image has 'c' in the column 'text'; it has: 'a', 'b'"
    ):
        filters.matching({"text": "c"}, None)
    with pytest.raises(QueryError, match=r"No image has '7' in .* it has: '1', '2.5'\."):
        filters.matching({"half": 7}, None)
