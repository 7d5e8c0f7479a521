"""Maps as files: they show every image, open offline, and take no text for markup."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from fakes import ColourEncoder, coloured
from PIL import Image

from explorer.cli import mapimage, mapscene
from explorer.cli.mappage import write_map
from explorer.errors import ImageError, QueryError
from explorer.library import Library
from explorer.points import Points, Space
from explorer.projection import Projection
from explorer.projection.colours import by_values
from explorer.projection.tiles import ACROSS, PER_SHEET, TILE
from explorer.regions.crowds import Region
from explorer.regions.kept import MapCrowds

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>__DATA__$x_1$\u2028"


class Shelf:
    """What a map needs of a Library, without a disk."""

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng(0)
        self.colours = rng.integers(0, 256, (n, 3))
        self.rows = pd.DataFrame(
            {
                "item": [f"image {i}.png" for i in range(n)],
                "path": [b"/home/somebody/secret.png"] * n,
                "caption": [HOSTILE, None, *["a plain one"] * n][:n],
                "style": [("flat", "round", "old")[i % 3] for i in range(n)],
                "year": [np.nan, *range(1901, 1900 + n)],
            }
        )
        self.columns = ["caption", "style", "year"]

    def __len__(self) -> int:
        return len(self.rows)

    def open_image(self, row: int) -> Image.Image:
        if row == 2:
            raise ImageError("it went away")
        return Image.new("RGB", (96, 48), tuple(self.colours[row].tolist()))

    def projection(self) -> Projection:
        points = Points(self.colours + 1, Space("toy", 3, "0f"), "image")
        return Projection(points, (self.colours[:, :2] / 50).astype(np.float32))


class Page(html.parser.HTMLParser):
    """Which elements a page has, and the texts of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.lasttag == "script" and self.scripts:
            self.scripts[-1] += data

    @property
    def data(self) -> dict:
        return json.loads(self.scripts[0])


def page_of(shelf: Shelf, tmp_path, **options) -> tuple[Page, str]:
    text = write_map(shelf, shelf.projection(), tmp_path / "map.html", **options).read_text("utf-8")
    return Page(text), text


def numbers_of(text: str, kind: type) -> np.ndarray:
    """An array as the page has it."""
    return np.frombuffer(base64.b64decode(text), kind)


def test_the_page_holds_every_place_name_and_column(tmp_path):
    shelf = Shelf(40)
    data = page_of(shelf, tmp_path, title="Our images")[0].data
    xy = numbers_of(data["xy"], np.float32).reshape(-1, 2)
    assert np.array_equal(xy, shelf.projection().xy)
    assert data["labels"] == shelf.rows["item"].tolist()
    assert [column["name"] for column in data["columns"]] == ["caption", "style", "year"]
    assert data["columns"][1]["values"] == shelf.rows["style"].tolist()
    assert data["columns"][2]["values"][:3] == [None, 1901, 1902]
    assert data["title"] == "Our images"


def test_the_page_has_the_colours_of_every_map(tmp_path):
    """Once it had rules and colours of its own."""
    shelf = Shelf(40)
    data = page_of(shelf, tmp_path, colour="year")[0].data
    choices = {choice["name"]: choice for choice in data["colours"]}
    assert list(choices) == ["caption", "style", "year", "One colour"] and data["colour"] == "year"
    for name in shelf.columns:
        colours = by_values(name, shelf.rows[name])
        assert choices[name]["ends"] == list(colours.ends)
        if colours.names:
            codes = numbers_of(choices[name]["codes"], np.uint8)
            assert codes.tolist() == colours.codes.tolist()
            assert choices[name]["names"] == list(colours.names)
    assert choices["year"]["codes"] is None, "the column has its values"


def test_numbers_of_a_page_are_those_of_the_column(tmp_path):
    """Once they were rounded to six digits."""
    shelf = Shelf(4)
    shelf.rows["year"] = [123456789, 0.1234567, None, 5]
    assert page_of(shelf, tmp_path)[0].data["columns"][2]["values"] == [
        123456789,
        0.1234567,
        None,
        5,
    ]


def test_the_page_asks_for_nothing_outside_itself(tmp_path):
    page, text = page_of(Shelf(40), tmp_path)
    for _, attributes in page.elements:
        assert not {"src", "href"} & set(attributes)
    assert all(sheet.startswith("data:image/webp;base64,") for sheet in page.data["sheets"])
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("default-src") == "'none'"
    assert rules["connect-src"] == "blob:", "what it reads is its own"
    assert not re.search(r"\*|https?:|'self'", policy)


def test_the_page_is_the_component_of_the_dashboard(tmp_path):
    page, _ = page_of(Shelf(4), tmp_path)
    bundle = mapscene.COMPONENT.read_text("utf-8")
    assert page.scripts[1].startswith(bundle[: bundle.rindex("export{")])
    assert "regl-scatterplot 1.16.0" in page.scripts[3], "its licences go with it"
    with pytest.raises(ValueError, match="make frontend"):
        mapscene.component("function a(){}")


def test_hostile_texts_stay_texts(tmp_path):
    plain = Shelf(40)
    plain.rows["caption"] = "plain"
    hostile = Shelf(40)
    hostile.rows.loc[5, "item"] = HOSTILE
    page, _ = page_of(hostile, tmp_path, title=HOSTILE + "\udcff")
    expected, _ = page_of(plain, tmp_path)
    assert page.elements == expected.elements
    assert page.data["columns"][0]["values"][0] == HOSTILE
    assert page.data["labels"][5] == HOSTILE
    assert page.data["title"] == HOSTILE + "\udcff"
    assert "innerHTML" not in page.scripts[2]


def test_the_page_tells_nothing_about_folders(tmp_path):
    assert "somebody" not in page_of(Shelf(40), tmp_path)[1]


def test_the_page_has_the_words_of_its_regions_and_a_warning(tmp_path):
    shelf = Shelf(12)
    known = [Region("faces", (1.0, 2.0), np.arange(5)), Region(HOSTILE, (3.0, 4.0), np.arange(3))]
    page, _ = page_of(
        shelf, tmp_path, crowds=MapCrowds([np.arange(5)], known), warning="These images are unlike."
    )
    marks = [(m["text"], m["x"], m["y"], m["kind"]) for m in page.data["marks"]]
    assert marks == [("faces", 1.0, 2.0, "label"), (HOSTILE, 3.0, 4.0, "label")]
    assert page.data["warning"] == "These images are unlike."
    assert page.elements == page_of(shelf, tmp_path)[0].elements
    assert page_of(shelf, tmp_path)[0].data["marks"] == []


def test_every_image_stands_on_its_tile(tmp_path):
    shelf = Shelf(200)  # more than one sheet
    data = page_of(shelf, tmp_path)[0].data
    sheets = [decoded(sheet) for sheet in data["sheets"]]
    assert len(sheets) == 4
    order = numbers_of(data["order"], np.uint32).tolist()
    for row in (0, 1, 3, 40, 150, 199):
        sheet, place = divmod(order.index(row), PER_SHEET)
        middle = [TILE * (place % ACROSS) + 32, TILE * (place // ACROSS) + 32]
        seen = np.array(sheets[sheet].getpixel(tuple(middle)), int)
        assert np.abs(seen - shelf.colours[row]).max() < 12


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")


def test_a_image_that_went_away_keeps_its_dot(tmp_path):
    data = page_of(Shelf(40), tmp_path)[0].data
    assert 2 not in numbers_of(data["order"], np.uint32)
    assert len(numbers_of(data["xy"], np.float32)) == 80
    assert "39 of 40" in data["note"]


def test_many_images_are_sampled_and_the_page_says_so(tmp_path, monkeypatch):
    assert mapscene.MAX_IMAGES == 5000
    monkeypatch.setattr(mapscene, "MAX_IMAGES", 20)
    data = page_of(Shelf(100), tmp_path)[0].data
    assert 18 <= len(numbers_of(data["order"], np.uint32)) <= 20
    assert "of 100" in data["note"]


@pytest.mark.parametrize("n", [1, 2, 3, 6])
@pytest.mark.parametrize("suffix", [".html", ".png", ".parquet"])
def test_few_images_have_a_map_too(tmp_path, n, suffix):
    shelf = Shelf(n)
    assert write_map(shelf, shelf.projection(), tmp_path / f"map{suffix}").stat().st_size > 1000


@pytest.mark.parametrize("colour", [None, "style", "year", "caption"])
def test_the_image_of_a_map_shows_images_and_colours(tmp_path, colour):
    shelf = Shelf(60)
    file = write_map(
        shelf, shelf.projection(), tmp_path / "map.png", colour=colour, title="a $\\nosuch$ b"
    )
    image = Image.open(file).convert("RGB")
    counts = {seen: count for count, seen in image.getcolors(1 << 22)}
    assert image.width > 1500 and min(image.getpixel((5, 5))) > 240
    assert sum(counts.get(tuple(mean), 0) > 100 for mean in shelf.colours.tolist()) >= 10


def test_a_map_without_columns_is_coloured_by_crowding(tmp_path):
    shelf = Shelf(60)
    shelf.columns = []
    file = write_map(shelf, shelf.projection(), tmp_path / "map.png")
    seen = {colour for _, colour in Image.open(file).convert("RGB").getcolors(1 << 22)}
    end = np.array([38, 165, 132])  # of the colours, around the most crowded image
    assert min(np.abs(np.array(colour) - end).max() for colour in seen) <= 8
    assert (253, 231, 37) not in seen  # viridis' own, which is hardly told from the page


def test_the_table_has_places_before_columns(tmp_path):
    shelf = Shelf(10)
    shelf.rows["caption"] = "plain"
    table = pd.read_parquet(write_map(shelf, shelf.projection(), tmp_path / "map.parquet"))
    assert table.columns[:3].tolist() == ["x", "y", "item"]
    assert np.array_equal(table[["x", "y"]], shelf.projection().xy)
    assert table["style"].tolist() == shelf.rows["style"].tolist()
    assert "x" not in shelf.rows.columns


def test_the_table_keeps_a_column_named_x(tmp_path):
    shelf = Shelf(4)
    shelf.rows = shelf.rows[["item"]].assign(x=7)
    shelf.columns = ["x"]
    table = pd.read_parquet(write_map(shelf, shelf.projection(), tmp_path / "map.parquet"))
    assert table.columns.tolist() == ["x", "y", "item", "given_x"] and (table["given_x"] == 7).all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("map.pdf", {}, r"\.html or \.png or \.parquet"),
        ("missing/map.html", {}, "does not exist"),
        ("map.html", {"colour": "mood"}, "mood.*caption, style, year"),
    ],
)
def test_impossible_wishes_are_refused(tmp_path, name, options, message):
    shelf = Shelf(10)
    with pytest.raises(QueryError, match=message):
        write_map(shelf, shelf.projection(), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_the_projection_of_another_library_is_refused(tmp_path):
    with pytest.raises(QueryError, match="10 points, but the library has 12"):
        write_map(Shelf(12), Shelf(10).projection(), tmp_path / "map.html")


def test_a_real_library_has_a_map(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for i in range(5):
        Image.new("RGB", (40, 30), (50 * i, 200 - 40 * i, 90)).save(images / f"{i}.png")
    (images / "columns.csv").write_text("file,style\n0.png,warm\n1.png,cold\n2.png,warm\n")
    encoder = ColourEncoder()
    library = Library.create(tmp_path / "library", coloured())
    library.add([images], encoder=encoder, columns=images / "columns.csv")
    projection = Projection.cached(library.cache_folder, library.points())
    page = Page(write_map(library, projection, tmp_path / "map.html").read_text("utf-8"))
    assert len(page.data["labels"]) == 5 and page.data["colour"] in ("style", "One colour")
    assert len(write_map(library, projection, tmp_path / "map.png").read_bytes()) > 10_000
    assert len(pd.read_parquet(write_map(library, projection, tmp_path / "map.parquet"))) == 5


def test_the_image_of_a_map_has_the_colours_of_the_page(tmp_path, monkeypatch):
    """Once it took the first column that told groups apart, and colours of its own."""
    source = mapscene.COMPONENT.parent / "source" / "colours.js"
    groups = re.search(r"GROUPS = \[(.*?)\]", source.read_text("utf-8"), re.DOTALL)
    assert tuple(re.findall("#[0-9a-f]{6}", groups[1])) == mapimage.PALETTE
    shelf, seen = Shelf(60), []
    shelf.rows["half"] = np.where(shelf.colours[:, 0] < 128, "left", "right")
    shelf.columns = [*shelf.columns, "half"]
    monkeypatch.setattr(mapimage, "_colour_points", lambda _, xy, of: seen.append(of) or xy)
    monkeypatch.setattr(mapimage, "_place_images", lambda *_: None)
    for colour in (None, *shelf.columns):
        data = page_of(shelf, tmp_path, colour=colour)[0].data
        write_map(shelf, shelf.projection(), tmp_path / "map.png", colour=colour)
        first = {choice["name"]: choice for choice in data["colours"]}[data["colour"]]
        assert seen[-1].title == first["title"] == (colour or "half")
        assert first["names"] == (None if seen[-1].names is None else list(seen[-1].names))


def test_the_image_of_a_map_leaves_out_the_few_that_lie_far_off():
    """Once 32 clocks far away left half of the demo's map.png empty."""
    xy = np.random.default_rng(0).random((600, 2)).astype(np.float32)
    assert mapimage.crowd(xy).all()
    far = np.concatenate([xy, [[40, 0], [41, 0], [0, -30]]]).astype(np.float32)
    assert np.flatnonzero(~mapimage.crowd(far)).tolist() == [600, 601, 602]
    assert mapimage.crowd(np.concatenate([xy, xy + 40])).all()  # half of them are not few
    for few in (far[-1:], far[-2:]):
        assert mapimage.crowd(few).all()


def test_the_rule_of_what_lies_far_off_is_that_of_the_component():
    source = (mapscene.COMPONENT.parent / "source" / "view.js").read_text("utf-8")
    for name in ("FAR_SHARE", "FAR_GAP", "GAIN"):
        assert f"const {name} = {getattr(mapimage, name)};" in source
