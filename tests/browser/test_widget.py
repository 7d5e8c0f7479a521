"""The notebook's map in Chromium: its traits and messages go to the real widget in Python."""

import base64

import numpy as np
import pytest

pytestmark = pytest.mark.browser
TRAITS = ("xy", "codes", "mask")
RENDER = """async ({ esm, code, scene, xy, codes, mask }) => {
  const view = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const traits = { code, scene, xy: view(xy), codes: view(codes), mask: view(mask) };
  const heard = {};
  const model = {
    get: (name) => traits[name],
    set: (name, value) => { traits[name] = value; },
    save_changes: async () => {
      traits.mask = view(await window.chosen(traits.event));
      heard["change:mask"]?.();
    },
    on: (name, act) => { heard[name] = act; },
    send: async (content) => {
      const [row, caption, image] = await window.asked(content);
      heard["msg:custom"]({ row, caption }, [view(image)]);
    },
  };
  document.body.innerHTML = '<h1>Notebook</h1><div id="cell" style="width: 700px"></div>';
  const address = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  await widget.render({ model, el: document.getElementById("cell") });
}"""


def text(content):
    return base64.b64encode(content).decode()


def rendered(window, chooser):
    """Render the widget in a cell of a notebook."""
    esm = chooser._esm if isinstance(chooser._esm, str) else str(chooser._esm)
    traits = {name: text(getattr(chooser, name)) for name in TRAITS}
    window.evaluate(RENDER, {"esm": esm, "code": chooser.code, "scene": chooser.scene, **traits})
    window.wait_for_selector("[data-points='300']", timeout=60_000)


def test_few_far_images_are_told_in_the_notebook_too(open_window, library):
    chooser = library.map()
    xy = np.frombuffer(chooser.xy, np.float32).reshape(-1, 2).copy()
    xy[:2, 1] += 10 * np.ptp(xy)
    chooser.xy = xy.tobytes()
    window = open_window(width=760, height=700)
    window.expose_function("asked", lambda content: (content["row"], "", ""))
    rendered(window, chooser)
    window.get_by_text("2 images lie far from the rest; All shows them.").wait_for()
    box = window.locator(".um-canvas").bounding_box()
    far, near = (
        window.evaluate(f"document.querySelector('.unclip-map').where({i})[1]") for i in (0, 2)
    )
    assert far < box["y"] < near < box["y"] + box["height"]


def test_a_lasso_in_the_notebook_gives_rows_in_python(open_window, library, keep, monkeypatch):
    chooser = library.map(colour="style")
    sent = []
    monkeypatch.setattr(chooser, "send", lambda content, buffers: sent.append((content, *buffers)))

    def chosen(event):
        chooser.event = event
        return text(chooser.mask)

    def asked(content):
        chooser._handle_custom_msg(content, [])
        told, image = sent[-1]
        return told["row"], told["caption"], text(image)

    window = open_window(width=760, height=700)
    window.expose_function("chosen", chosen)
    window.expose_function("asked", asked)
    rendered(window, chooser)
    window.wait_for_function("Number(document.querySelector('.um-pictures').dataset.images) > 10")
    box = window.locator(".um-canvas").bounding_box()
    tools = window.get_by_role("toolbar").locator("[data-mode]:visible").all_inner_texts()
    assert tools == ["Move", "Lasso"], "a path leads nowhere here"
    window.get_by_role("button", name="Lasso").click()
    corners = [(0.1, 0.1), (0.5, 0.1), (0.5, 0.9), (0.1, 0.9)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    window.mouse.move(*places[0])
    window.mouse.down()
    for place in places[1:]:
        window.mouse.move(*place, steps=8)
    window.mouse.up()
    window.wait_for_function("Number(document.querySelector('.unclip-map').dataset.coloured) < 300")
    assert 0 < len(chooser.rows) < 300
    where = "(i) => document.querySelector('.unclip-map').where(i)"
    for row in range(0, 300, 17):
        x, y = window.evaluate(where, row)
        inside = places[0][0] < x < places[1][0] and places[0][1] < y < places[2][1]
        assert inside == (row in chooser.rows)
    keep(window, "widget")
