"""Importing the package, and asking the command for help, load nothing heavy."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = [
    *("torch", "torchvision", "open_clip", "diffusers", "transformers", "timm", "faiss"),
    *("umap", "numba", "sklearn", "scipy", "streamlit", "matplotlib", "av", "pandas", "pyarrow"),
]
LIGHT = [
    *("explorer", "explorer.cli", "explorer.models.pocket", "explorer.models.openclip"),
    *("explorer.library", "explorer.metrics", "explorer.training", "analysis"),
]
MOST_SECONDS_FOR_HELP = 0.5


def loaded_by(statement):
    """The heavy packages that a fresh interpreter holds after the statement."""
    code = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout.split()


def seconds(command, runs=5):
    """The shortest of some runs in processor time, which other work on the machine leaves alone."""
    used = []
    for _ in range(runs):
        before = os.times()
        subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
        after = os.times()
        used.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    return min(used)


@pytest.mark.parametrize("module", LIGHT)
def test_importing_loads_nothing_heavy(module):
    assert loaded_by(f"import {module}") == []


@pytest.mark.parametrize("module", ["scipy", "pandas", "pyarrow"])
def test_a_heavy_import_would_be_seen(module):
    assert module in loaded_by(f"import explorer, {module}")


def test_importing_prints_nothing_and_touches_no_random_state():
    code = (
        "import random, numpy\n"
        "before = random.getstate(), numpy.random.get_state()[1].tolist()\n"
        "import explorer, explorer.cli\n"
        "assert before == (random.getstate(), numpy.random.get_state()[1].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_comes_at_once():
    used = seconds([sys.executable, "-m", "explorer", "--help"])
    assert used < MOST_SECONDS_FOR_HELP, f"unclip --help took {used:.2f} s of processor time"


def test_a_slow_command_would_be_seen():
    busy = "import time\nwhile time.process_time() < 0.6: pass"
    began = time.monotonic()
    assert seconds([sys.executable, "-c", busy], runs=1) > MOST_SECONDS_FOR_HELP
    assert time.monotonic() - began < 60
