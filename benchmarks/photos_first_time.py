"""From nothing to a contact sheet of photographs: README's two commands, with a hub of our own.

    python benchmarks/photos_first_time.py PHOTOS

It makes random weights of ViT-B-32 (605 MB), serves them as the hub does, and runs the commands
that a newcomer types in a home folder that is empty: index, killed in the middle of the fetch, then
again; search with the hub stopped; then without weights, and the two commands that the message
gives. Random weights find nothing sensible: what counts is what is printed, and when.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = "open_clip_model.safetensors"
SERVE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import fake_hub
content = open(sys.argv[2], "rb").read()
known = fake_hub.etag("x.safetensors", content)
fake_hub.etag = lambda path, content: known  # 605 MB are hashed once
class Paced(fake_hub.Handler):
    def file(self, path, body):
        out, handler = self.wfile, self
        class Slow:
            def write(self, data):
                for start in range(0, len(data), 1 << 20):
                    out.write(data[start : start + (1 << 20)])
                    time.sleep(0.01 if len(data) > 1 << 20 else 0)
            def flush(self):
                out.flush()
        self.wfile = Slow()
        super().file(path, body)
        self.wfile = out
fake_hub.Handler = Paced
hub = fake_hub.Hub({"open_clip_model.safetensors": content})
print(hub.url, flush=True)
hub.serve_forever()
"""


def write_weights(folder: Path) -> None:
    """Write random weights of ViT-B-32 and their configuration, as the released folder has them."""
    code = (
        "import json, sys, open_clip, torch\n"
        "from safetensors.torch import save_file\n"
        "torch.manual_seed(0)\n"
        "model = open_clip.create_model('ViT-B-32')\n"
        f"state = {{k: v.contiguous() for k, v in model.state_dict().items()}}\n"
        f"save_file(state, sys.argv[1] + '/{WEIGHTS}')\n"
        "config = {'model_cfg': open_clip.get_model_config('ViT-B-32'),\n"
        "          'preprocess_cfg': model.visual.preprocess_cfg}\n"
        "json.dump(config, open(sys.argv[1] + '/open_clip_config.json', 'w'))\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True)


class Newcomer:
    """Someone whose home is empty, and whose hub is at an address of this machine."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        home.mkdir()
        names = ("PATH", "LANG", "OMP_NUM_THREADS")
        self.environment = {name: os.environ[name] for name in names if name in os.environ} | {
            "HOME": str(home),
            "HF_ENDPOINT": url,
            "PYTHONPATH": str(ROOT),
        }

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        print(f"$ unclip {shlex.join(words)}", flush=True)
        return subprocess.Popen(
            [sys.executable, "-m", "explorer", *words],
            env=self.environment,
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def type(self, *words: str) -> tuple[int, str]:
        """Run a command and print what it prints."""
        begun, process = time.monotonic(), self.start(list(words))
        said = shown(process.communicate()[0])
        print(f"{said}\n  [exit {process.returncode}, {time.monotonic() - begun:.0f} s]\n")
        return process.returncode, said


def shown(output: bytes) -> str:
    """Return the lines as they stand in the end: of a bar, its last state."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in output.decode().split("\n"))
    return "\n".join(line for line in lines if line.strip())


def kill_in_the_middle(person: Newcomer, words: list[str], after: int = 200_000_000) -> None:
    """Kill a command once this many bytes are fetched."""
    process = person.start(words)
    while process.poll() is None:
        parts = list(person.home.rglob("*.part"))
        if parts and parts[0].stat().st_size > after:
            process.kill()
        time.sleep(0.05)
    size = next(iter(person.home.rglob("*.part"))).stat().st_size
    print(shown(process.communicate()[0]))
    print(f"  [killed with {size / 1e6:.0f} MB fetched]\n")


def main(photos: str, work: Path) -> None:
    """Run everything, and raise where something is not as README promises."""
    released = work / "released"
    if not (released / WEIGHTS).is_file():
        write_weights(released)
    hub = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(ROOT / "tests"), str(released / WEIGHTS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert hub.stdout is not None
    shutil.rmtree(work / "home", ignore_errors=True)
    person = Newcomer(work / "home", hub.stdout.readline().strip())
    index = ["index", photos, "--library", "photos.lib"]
    search = ["search", "photos.lib", "a dog on a beach", "--sheet", "hits.png"]
    try:
        kill_in_the_middle(person, index)
        code, said = person.type(*index)
        assert code == 0 and re.search(r"605 MB, of which 2\d\d MB are here; licence: MIT", said)
    finally:
        hub.kill()
        hub.wait()
    assert person.type(*search)[0] == 0 and (person.home / "hits.png").is_file()
    (person.home / ".cache").rename(person.home / "away")
    code, said = person.type("index", photos, "--library", "other.lib")
    assert code == 2
    for way in re.findall(r"unclip (index .*? --model \S+(?: --source FOLDER)?)(?=[; ]|$)", said):
        words = [str(released) if word == "FOLDER" else word for word in shlex.split(way)]
        assert person.type(*words)[0] == 0
        shutil.rmtree(person.home / "other.lib")
    assert person.type(*search)[0] == 2  # a library starts no download


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]), Path(tempfile.gettempdir()) / "unclip-first-time")
