"""Getting, finding and removing weights on the command line, from a hub on this machine."""

import json
import re
from dataclasses import replace

import pytest
from fake_hub import commit_of, hub_of
from families import WRITERS
from huggingface_hub import scan_cache_dir
from typer.testing import CliRunner

from explorer import cli
from explorer.models import karlo, load


def unclip(*words):
    return CliRunner().invoke(cli.unclip, [str(word) for word in words])


def told(*words):
    result = unclip(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_model_is_got_loaded_found_and_removed(tmp_path, monkeypatch):
    here = commit_of(karlo.VARIATIONS.repository)[:7]
    monkeypatch.setattr(karlo, "VARIATIONS", replace(karlo.VARIATIONS, commit=here))
    folder = WRITERS["karlo"](tmp_path / "karlo")
    names = [file for file in folder.rglob("*") if file.is_file()]
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in names}
    files["decoder/diffusion_pytorch_model.bin"] = b"a pickle"
    with hub_of(files, tmp_path / "cache") as hub:
        got = told("models", "get", "karlo")
        assert len(got["folders"]) >= 1
        hub.sent = 0
        assert told("models", "get", "karlo") == got
        assert told("models", "path", "karlo") == got
        assert hub.sent == 0
        assert not list((tmp_path / "cache").rglob("*.bin"))
        here = {card["name"]: card["weights_here"] for card in told("models")}
        assert here["karlo"] and here["pocket"] and not here["kandinsky-2.2"]
        model = load("karlo", device="cpu")
        assert model.prior.sample(["a cat"]).space == model.decoder.space
        asked = CliRunner().invoke(cli.unclip, ["models", "rm", "karlo"], input="n\n")
        assert asked.exit_code == 1
        assert told("models", "path", "karlo") == got
        removed = told("models", "rm", "karlo", "--yes")
        assert removed["megabytes"] > 0
        assert not scan_cache_dir(tmp_path / "cache").repos
        assert told("models", "rm", "karlo", "--yes")["removed"] == []


def test_what_another_model_needs_stays(tmp_path):
    files = {}
    for name in ("ip-adapter-sd15", "ip-adapter-sdxl"):
        folder = WRITERS[name](tmp_path / name)
        for file in folder.rglob("*.*"):
            files["/".join(file.relative_to(folder).parts[1:])] = file.read_bytes()
    with hub_of(files, tmp_path / "cache"):
        told("models", "get", "ip-adapter-sd15")
        told("models", "get", "ip-adapter-sdxl")
        assert "h94/IP-Adapter" not in told("models", "rm", "ip-adapter-sd15", "--yes")["removed"]
        assert told("models", "path", "ip-adapter-sdxl")
        assert "h94/IP-Adapter" in told("models", "rm", "ip-adapter-sdxl", "--yes")["removed"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("get", "karlo"), "run: unclip models get karlo"),
        (("path", "kandinsky-2.2"), "MB) are not all on this machine. Run: unclip models get"),
        (("get", "poket"), "Did you mean 'pocket'"),
    ],
)
def test_what_cannot_be_had_is_one_line_with_the_remedy(words, said):
    result = unclip("models", *words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_the_list_says_who_lends_a_prior_what_licences_allow_and_the_commits():
    told = unclip("models").stdout
    entries = {words.split("\n")[0]: words for words in re.split(r"\n(?=\S)", told)}
    small, cascade = entries["stable-unclip-small"], entries["stable-cascade"]
    assert "reads points of: openclip:ViT-L-14/openai" in small
    assert "prior: no (--prior kandinsky-2.1 or karlo)" in small
    assert "Research Community License (no commercial use)" in cascade
    assert "Apache-2.0 (any use)" in entries["kandinsky-2.1"]
    assert "stabilityai/stable-cascade at a89f66d" in cascade


def test_pocket_needs_no_getting():
    assert "ships with the package" in unclip("models", "get", "pocket").stdout


def test_open_clips_weights_are_named_by_their_repository():
    from explorer.models.shared.hub import releases_of

    (release,) = releases_of("openclip:ViT-B-32/laion2b_s34b_b79k")
    assert release.repository == "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    assert release.patterns == ("open_clip_model.safetensors",)
    assert 600 < release.megabytes < 610
