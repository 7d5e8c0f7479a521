"""What the legend's colours say of a point, in the component's own words."""

import pytest

pytestmark = pytest.mark.browser
TOLD = """async ([colours, values]) => {
  const { told } = await import("/source/colours.js");
  return values.map((_, row) => told(colours, values.map((v) => v ?? NaN), row));
}"""
YEARS = {"title": "year", "names": None, "ends": ["≤ 1951", "≥ 2008"], "scale": [1951, 2008]}


def test_values_are_told_as_they_are(source_window):
    """Once 1984 was told as 1.98e+3, and an outlier as the end of the scale."""
    values = [1984, 1850, 0.1234567, 12345678.25, -3, 0, None, 1e-9]
    told = source_window.evaluate(TOLD, [{**YEARS, "dates": False}, values])
    texts = ["1984", "1850", "0.1234567", "12345678.25", "-3", "0", None, "1e-9"]
    assert told == ["" if text is None else f"year: {text}" for text in texts]


def test_days_are_told_as_dates(source_window):
    days = {"title": "day", "names": None, "ends": ["", ""], "scale": [0, 20000], "dates": True}
    told = source_window.evaluate(TOLD, [days, [0, 19723, None]])
    assert told == ["day: 1970-01-01", "day: 2024-01-01", ""]


def test_outliers_have_the_colours_of_the_ends(source_window):
    codes = """async (colours) => {
      const { codesOf } = await import("/source/colours.js");
      return [...codesOf(4, colours, [1066, 1951, 2008, 9999], null, null)];
    }"""
    assert source_window.evaluate(codes, {**YEARS, "dates": False}) == [1, 1, 65, 65]
