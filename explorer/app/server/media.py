"""Media: addresses at which the browser finds what is too large to send again with every rerun."""

import hashlib
import io

from PIL import Image


def address(content: bytes, mimetype: str, place: str) -> str:
    """Return where the browser finds the content, for as long as the page shows it.

    The name is the whole digest: of what is over 1 MiB Streamlit itself reads samples only.

    Args:
        place: tells what stands on one page apart.
    """
    import streamlit as st
    from streamlit.runtime import get_instance

    digest = hashlib.sha256(content).hexdigest()
    found = get_instance().media_file_mgr.add(content, mimetype, place, file_name=digest)
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{found}" if base else found


def image_address(image: Image.Image, place: str) -> str:
    """Return the same for an image, as a JPEG that shows no artefacts when enlarged."""
    content = io.BytesIO()
    image.save(content, "jpeg", quality=95, subsampling=0)
    return address(content.getvalue(), "image/jpeg", place)
