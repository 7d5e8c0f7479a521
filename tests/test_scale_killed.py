"""Kills during an index with Ray: workers at random, and the driver at three moments."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import fakes
import numpy as np
import pytest
from fakes import ColourEncoder, coloured, image
from scale_ray import two_cores  # noqa: F401  # a fixture

from explorer.library import Library
from explorer.scale import ray_session
from explorer.scale.ray_engine import RayEngine

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.slow,
    pytest.mark.timeout(3000),
]
IMAGES = int(os.environ.get("UNCLIP_KILLED_IMAGES", "20000"))
KILLS = 20
DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
import fakes, test_scale_killed
from explorer.library import Library, adding
from explorer.scale import ray_session
from explorer.scale.ray_engine import RayEngine
adding.STAGED_SECONDS = 0.0
ray_session._cores = lambda: 2
library = Library.open(sys.argv[2])
with ray_session.session(None) as ray:
    ray.cloudpickle.register_pickle_by_value(fakes)
    ray.cloudpickle.register_pickle_by_value(test_scale_killed)
    encoder = test_scale_killed.SlowColours()
    for step in library.adding(sys.argv[3], encoder=encoder, engine=RayEngine()):
        print(step.committed, step.done, flush=True)
"""


class SlowColours(ColourEncoder):
    """Takes 3 ms an image, as a small CLIP does."""

    def embed_pixels(self, pixels):
        time.sleep(0.003 * len(pixels))
        return super().embed_pixels(pixels)


def make_images(folder, count):
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:06}.png").write_bytes(image(number))
    return folder


def children(pid):
    """The processes below one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
    found, level = set(), {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level} - found
        found |= level
    return found


def actors_below(pid):
    """The processes below one that are actors of the pool."""
    found = []
    for child in children(pid):
        try:
            title = Path(f"/proc/{child}/cmdline").read_bytes()
        except OSError:
            continue
        if b"MapWorker" in title:
            found.append(child)
    return found


def check(library, images):
    """Every image is there once, with the vector that it has without Ray."""
    rows = library.rows
    assert len(library) == rows["path"].nunique() == rows["sha256"].nunique() == images
    assert list(rows["item"]) == sorted(rows["item"])
    assert not library.verify(read_data=True)
    some = np.linspace(0, images - 1, 50).astype(int)
    right = ColourEncoder().encode_images([rows["item"][row] for row in some])
    assert np.abs(right.vectors - library.vectors[some]).max() < 1e-5


def test_workers_that_are_killed_cost_time_and_no_row(two_cores, tmp_path):  # noqa: F811
    two_cores.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    images = make_images(tmp_path / "images", IMAGES)
    library = Library.create(tmp_path / "a.lib", coloured())
    killed, over = [], threading.Event()

    def kill_at_random():
        draw = random.Random(17)
        while len(killed) < KILLS and not over.wait(draw.uniform(0.5, 4)):
            if there := actors_below(os.getpid()):
                killed.append(draw.choice(there))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_at_random)
    killer.start()
    try:
        start = time.monotonic()
        done = library.add(images, encoder=SlowColours(), engine=RayEngine(actors=2))
        print(f"{done}, {len(killed)} killed, {time.monotonic() - start:.0f} s")
    finally:
        over.set()
        killer.join()
    assert len(killed) == KILLS
    check(library, IMAGES)
    segments = list((library.folder / "segments").iterdir())
    print(f"{len(segments) - len(library._store.manifest.segments)} segments were staged in vain")


def test_a_cluster_of_several_nodes_makes_one_library(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    for name, value in ray_session._QUIET.items():
        monkeypatch.setenv(name, value)
    small = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    try:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20)]
        images = make_images(tmp_path / "images", 2000)
        library = Library.create(tmp_path / "a.lib", coloured())
        with ray_session.session(cluster.address) as ray:
            ray.cloudpickle.register_pickle_by_value(fakes)
            ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
            engine = RayEngine(actors=2)
            assert engine.resources(ray, 99)[0] == 2
            steps = library.adding(images, encoder=SlowColours(), engine=engine)
            for step in steps:
                if step.done > 500 and nodes:  # one machine goes down
                    cluster.remove_node(nodes.pop(), allow_graceful=False)
        assert not nodes
    finally:
        cluster.shutdown()
    check(library, 2000)


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.9])
def test_a_driver_that_is_killed_is_resumed(moment, tmp_path):
    count = IMAGES // 10
    images = make_images(tmp_path / "images", count)
    library = Library.create(tmp_path / "a.lib", coloured())
    words = [sys.executable, "-c", DRIVER, str(Path(__file__).parent), library.folder, images]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as driver:
        for line in driver.stdout:
            if int(line.split()[1]) >= moment * count:
                driver.kill()
                break
        below = children(driver.pid)
    assert driver.returncode == -signal.SIGKILL
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in below):
            break
        time.sleep(0.1)
    library.refresh()
    saved = len(library)
    assert saved >= moment * count * 0.5 and saved < count
    again = subprocess.run(words, capture_output=True, text=True, timeout=2000)
    assert again.returncode == 0, again.stderr
    assert int(again.stdout.split()[1]) >= saved  # those that were saved are not embedded again
    library.refresh()
    check(library, count)
