"""Two processes that index into the same new library at once: one does, the other ends with 11."""

import shutil
import subprocess
import sys

from explorer.library import Library

START = """
import sys
import explorer
from explorer.cli import unclip
explorer.load("pocket", device="cpu")
print("ready", flush=True)
sys.stdin.readline()
unclip(sys.argv[1:])
"""


def test_the_second_of_two_first_indexers_ends_locked(sample, tmp_path):
    folder, images = tmp_path / "new.lib", tmp_path / "images"
    images.mkdir()
    for file in sorted((sample / "3d").glob("*.png"))[:40]:
        shutil.copy(file, images)
    words = ["index", str(images), "--library", str(folder), "--model", "pocket"]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [
        subprocess.Popen([sys.executable, "-c", START, *words, "--workers", "0"], text=True, **pipe)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 11], said
    (line,) = [line for line in said[codes.index(11)].splitlines() if line.startswith("unclip: ")]
    assert "is being written by pid" in line
    assert "Traceback" not in "".join(said)
    assert len(Library.open(folder)) == 40 and Library.open(folder).verify(read_data=True) == []
