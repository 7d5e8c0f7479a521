"""Uploads of small files that claim much take bounded memory, and give it back."""

import os
import subprocess
import sys

import pytest

MEASURE = """
import io, resource, threading
import numpy as np
from PIL import Image
from explorer.app.server import uploads
from explorer.errors import ImageError

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6

def file(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()

small, zip = Image.new("RGB", (64, 64)), "tiff_adobe_deflate"
hostile = [
    file(Image.fromarray(np.zeros((8000, 8000), np.uint16)), "TIFF", compression=zip),
    file(Image.fromarray(np.zeros((5000, 5000), np.float32)), "TIFF", compression=zip),
    file(Image.new("RGB", (8000, 8000)), "WEBP", lossless=True),
    file(Image.new("RGB", (5000, 5000)), "WEBP", lossless=True),
    file(Image.new("RGB", (6000, 6000)), "JPEG", progressive=True),
]
assert len(hostile[0]) < 200_000 and len(hostile[2]) < 3000
refused = []

def upload(content):
    try:
        uploads.checked(content, "a")
    except ImageError as error:
        refused.append(error)

upload(file(small, "PNG"))
uploads.give_back()
with open("/proc/self/clear_refs", "w") as marks:
    marks.write("5")  # the peak is counted from here
before = resident()
for content in hostile:
    thread = threading.Thread(target=upload, args=[content])
    thread.start()
    thread.join()
status = open("/proc/self/status").read()
held = int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
print(resident() - before, held - before, len(refused))
"""


@pytest.mark.skipif(
    not os.path.exists("/proc/self/clear_refs"), reason="measures with Linux's /proc"
)
def test_a_sequence_of_hostile_uploads_gives_its_memory_back():
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    growth, peak, refused = map(float, done.stdout.split())
    assert growth < 100 and peak < 500 and refused == 1, done.stdout
