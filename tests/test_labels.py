"""Rows without a caption are called by their file, never nan, None or nothing at all."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from app_pages import captions, errors, open_page
from typer.testing import CliRunner

import explorer
from explorer.cli import unclip
from explorer.library.captions import label_of

EMPTY = [None, float("nan"), np.nan, pd.NA, pd.NaT, "", "  ", "nan", "None", "null"]
NOTHING = re.compile(r"(^|[^a-z0-9])(nan|none|<na>|nat)([^a-z0-9]|$)", re.IGNORECASE)
FILES = ("1f431.png", "1f436.png", "2600.png", "26c4.png", "1f600.png")
TABLES = {  # captions as tables hold them: for two of the five images, in one column with others
    "csv": "file,caption,stars\n1f431.png,a cat,1\n1f436.png,,\n2600.png,   ,\n26c4.png,a man,2\n",
    "jsonl": '{"file": "1f431.png", "caption": "a cat", "stars": 1}\n'
    '{"file": "1f436.png", "caption": null, "stars": NaN}\n'
    '{"file": "2600.png", "caption": "", "stars": null}\n'
    '{"file": "26c4.png", "caption": "a man", "stars": 2}\n',
    "parquet": None,
}


@pytest.fixture(params=TABLES, scope="module")
def folder(request, sample, pocket, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    (folder / "images").mkdir()
    for name in FILES:
        shutil.copy(sample / "flat" / name, folder / "images")
    table = folder / f"table.{request.param}"
    if request.param == "parquet":
        rows = {"file": [*FILES[:4], None], "caption": ["a cat", None, " ", "a man", "lost"]}
        pd.DataFrame(rows | {"stars": [1, None, None, 2, 3]}).to_parquet(table)
    else:
        table.write_text(TABLES[request.param])
    library = explorer.Library.create(folder / "a.lib", pocket)
    library.add([folder / "images"], columns=table, workers=0)
    library.set_columns({"note": [None, "", float("nan"), " ", "seen"]})
    return folder


@pytest.mark.parametrize("value", EMPTY, ids=repr)
def test_an_empty_caption_is_the_name_of_the_file(value):
    assert label_of(value, "cat.png") == "cat.png"


def out(*words):
    result = CliRunner().invoke(unclip, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_no_output_calls_an_image_by_nothing(folder):
    library = folder / "a.lib"
    text = out("search", library, "cat", "-k", 5)
    text += out("duplicates", library, "--threshold", "0.01")
    assert not NOTHING.search(text) and "()" not in text and "; ;" not in text
    assert all(name in text for name in FILES)
    found = json.loads(out("search", library, "cat", "-k", 5, "--json"))
    for hit in found:
        assert hit["item"].endswith(".png")
        assert all(value is None or str(value).strip() for value in hit.values())
        assert not any(NOTHING.search(str(value)) for value in hit.values() if value is not None)


def test_sheets_and_cards_have_labels(folder):
    library = explorer.Library.open(folder / "a.lib")
    hits = library.search("cat", 5)
    labels = [hits.caption(rank) for rank in range(5)] + hits.captions
    assert not any(NOTHING.search(label) or not label.strip() for label in labels)
    assert {"a cat", "a man"} < {*labels} and "1f600.png" in labels
    assert not NOTHING.search(re.sub(r"<img[^>]*>|style=.[^>]*>", "", hits._repr_html_()))


def test_the_map_has_labels(folder, tmp_path):
    out("map", folder / "a.lib", "-o", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    data = json.loads(re.search('type="application/json" id="data">(.*?)</script>', page)[1])
    assert all(label.endswith(".png") for label in data["labels"])
    for column in data["columns"]:
        assert not any(isinstance(v, str) and not v.strip() for v in column["values"])
        assert not any(NOTHING.search(str(v)) for v in column["values"] if v is not None)


@pytest.mark.parametrize("name", ["library", "search"])
def test_the_dashboard_has_labels(monkeypatch, folder, name):
    page = open_page(monkeypatch, name, folder / "a.lib", q0="cat")
    assert errors(page) == []
    shown = [text.replace("\\", "") for text in captions(page)]
    assert len(shown) >= 5 and not any(NOTHING.search(t) or not t.strip() for t in shown)


@pytest.mark.parametrize("cell", [None, float("nan"), "", " "])
def test_rows_of_a_table_that_name_no_file_are_no_files(cell, pocket, sample, tmp_path):
    shutil.copy(sample / "flat" / FILES[0], tmp_path)
    pd.DataFrame({"file": [FILES[0], cell], "x": [1, 2]}).to_parquet(tmp_path / "t.parquet")
    library = explorer.Library.create(tmp_path / "a.lib", pocket)
    done = library.add([tmp_path / "t.parquet"], workers=0)
    assert (done.embedded, done.failed) == (1, 0) and not len(library.errors)
