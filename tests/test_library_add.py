"""Adding again embeds nothing twice, notices what changed, and keeps what is done."""

import os
import time

import numpy as np
import pytest
from fakes import ColourEncoder, image, names, names_in_order, run

from explorer.library import Library


def test_unchanged_images_are_not_embedded_again(library, images, encoder):
    run(library, images, encoder)
    version = library.info()["version"]
    progress = run(Library.open(library.folder), [images, images / "1.png"], encoder)
    assert (progress.unchanged, progress.embedded, encoder.images) == (8, 0, 8)
    assert run(library, images, encoder).unchanged == 8
    assert library.info()["version"] <= version + 1


def test_touched_and_moved_images_are_not_embedded_again(library, images, encoder):
    run(library, images, encoder)
    vector = library.points([3]).vectors
    os.utime(images / "1.png", ns=(5, 5))
    os.rename(images / "3.png", images / "three.png")
    progress = run(library, images, encoder)
    assert (progress.unchanged, progress.removed, encoder.images) == (8, 1, 8)
    assert len(library) == 8 and b"three.png" in names(library) and b"3.png" not in names(library)
    row = names_in_order(library).index(b"three.png")
    np.testing.assert_array_equal(library.points([row]).vectors, vector)
    assert run(library, images, encoder).unchanged == 8 and library.verify(True) == []


def test_changed_images_are_embedded_again_and_deleted_ones_are_retired(library, images, encoder):
    run(library, images, encoder)
    (images / "0.png").write_bytes(image(100))
    (images / "1.png").unlink()
    progress = run(library, images, encoder)
    assert (progress.embedded, progress.removed, len(library)) == (1, 1, 7)
    row = names_in_order(library).index(b"0.png")
    expected = encoder.encode_images([image(100)]).vectors
    np.testing.assert_allclose(library.points([row]).vectors, expected)
    assert names(library).count(b"0.png") == 1 and b"1.png" not in names(library)


def test_images_outside_the_given_source_are_left_alone(library, images, encoder):
    run(library, images, encoder)
    (images / "0.png").unlink()
    (images / "more" / "7.png").unlink()
    assert run(library, images / "more", encoder).removed == 1 and len(library) == 7
    assert run(library, images, encoder).removed == 1 and len(library) == 6


def test_images_that_come_back_are_not_embedded_again(library, images, encoder):
    run(library, images, encoder)
    os.rename(images / "more", images / ".hidden")
    assert run(library, images, encoder).removed == 2
    os.rename(images / ".hidden", images / "more")
    progress = run(library, images, encoder)
    assert (progress.unchanged, len(library), encoder.images) == (8, 8, 8)


def test_a_bad_image_stops_nothing_and_is_tried_again_only_once_changed(
    library, images, encoder, monkeypatch
):
    (images / "page.jpg").write_text("<html>not found</html>")
    (images / "empty.png").write_bytes(b"")
    progress = run(library, images, encoder)
    assert (progress.failed, progress.embedded, progress.done) == (2, 8, 10)
    errors = Library.open(library.folder).errors
    assert list(errors.columns) == ["item", "reason"]
    assert sorted(os.path.basename(item) for item in errors["item"]) == ["empty.png", "page.jpg"]
    assert all(errors["reason"].str.len() > 10)

    asked = []
    embed = ColourEncoder.embed

    def listening(self, sources, *, workers=None, **more):
        return embed(self, (asked.append(s) or s for s in sources), workers=workers)

    monkeypatch.setattr(ColourEncoder, "embed", listening)
    assert run(library, images, encoder).failed == 2 and asked == []
    (images / "page.jpg").write_bytes(image(50))
    (images / "empty.png").unlink()
    progress = run(library, images, encoder)
    assert asked == [str(images / "page.jpg")]
    assert (progress.failed, len(library), len(library.errors)) == (0, 9, 0)


def test_a_image_that_goes_bad_loses_its_row(library, images, encoder):
    run(library, images, encoder)
    (images / "0.png").write_text("not an image any more")
    run(library, images, encoder)
    assert len(library) == 7 and len(library.errors) == 1


def test_closing_or_interrupting_keeps_what_is_done(library, images, encoder, monkeypatch):
    job = library.adding(images, encoder=encoder, workers=0)
    while next(job).embedded < 3:
        pass
    job.close()
    assert len(Library.open(library.folder)) == 3
    embed = ColourEncoder.embed

    def interrupted(self, sources, *, workers=None, **more):
        for result in embed(self, sources, workers=workers):
            if result.index == 2:
                raise KeyboardInterrupt
            yield result

    with monkeypatch.context() as patch:
        patch.setattr(ColourEncoder, "embed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(library, images, encoder)
    assert len(Library.open(library.folder)) == 5
    progress = run(library, images, encoder)
    assert (progress.unchanged, progress.embedded, len(library)) == (5, 3, 8)


def test_readers_keep_their_version_while_another_writes(library, images, encoder):
    run(library, images, encoder)
    reader = Library.open(library.folder)
    before = names(reader)
    (images / "0.png").unlink()
    (images / "new.png").write_bytes(image(99))
    for _ in library.adding(images, encoder=encoder, workers=0):
        assert names(reader) == before and len(reader.search(reader.points([0]), k=20)) == 8
        assert len(Library.open(library.folder)) == 8
    reader.refresh()
    assert names(reader) == [*before[1:], b"new.png"]


def test_only_old_orphans_are_deleted(library, images, encoder):
    old, young = (library.folder / "segments" / name for name in ("0" * 32, "1" * 32))
    temporary = library.folder / "segments" / ".tmp-x"
    for folder in (old, young, temporary):
        folder.mkdir()
    for folder in (old, temporary):
        os.utime(folder, (time.time() - 4000,) * 2)
    run(library, images, encoder)
    assert young.exists() and not old.exists() and not temporary.exists()
