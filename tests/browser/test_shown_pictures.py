"""The pictures of the documents are made by one command."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "docs" / "generate"))

import pictures

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", [name for name in pictures.PICTURES if "dashboard" in name])
def test_a_picture_of_the_dashboard_is_made_as_it_stands_in_the_documents(name, tmp_path):
    command = [sys.executable, pictures.__file__, name, "--out", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True)  # playwright drives once a process
    file = f"{name}.webp"
    with Image.open(ROOT / "docs" / file) as shown, Image.open(tmp_path / file) as made:
        assert made.size == shown.size
        assert len(np.unique(np.asarray(made).reshape(-1, 3), axis=0)) > 5000, "no images in it"
