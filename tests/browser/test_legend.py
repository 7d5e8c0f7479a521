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


@pytest.mark.parametrize(("scheme", "page"), [("#333333", "#ffffff"), ("#eeeeee", "#181715")])
def test_every_value_is_told_from_the_page(source_window, scheme, page):
    """On a dark page the dark end of viridis had a contrast of 1.2, on a light one the other end
    1.3; WCAG 1.4.11 asks for 3.
    """
    colours = """async (text) => {
      const { palette, themed } = await import("/source/colours.js");
      document.body.style.color = text;
      return palette({ names: null }, themed(document.body));
    }"""
    _, *ramp = source_window.evaluate(colours, scheme)
    assert len(ramp) == len(set(ramp)) == 65
    assert min(contrast(colour, page) for colour in ramp) >= 3


def contrast(one, other):
    """The ratio of WCAG 2."""

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    return max(light(one), light(other)) / min(light(one), light(other))
