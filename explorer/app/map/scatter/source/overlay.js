// What lies over and under the points and moves with them: labels, marks, lines, a ground, a card.
import { addressOf, imageAt, textAt } from "./address.js";
import { densityImage } from "./density.js";

const EDGE = 10;
const CLEAR = 44; // pixels: a crowd of a finer level gets its label when it spans as much

export function createOverlay(root, view, places, about) {
  const find = (name) => root.querySelector(name);
  const over = find(".um-over"), svg = find(".um-lines"), card = find(".um-card"), ground = find(".um-ground");
  const crowding = find(".um-density"), ruler = document.createElement("canvas").getContext("2d");
  let scene = { marks: [], path: [], lasso: [], thumbnails: "" }, row = -1, hovered = -1, items = [], shapes = [];
  let bands = null, banded = "";
  const placeOf = (i) => [places[2 * i], places[2 * i + 1]];

  function show(data, look) {
    if ((data.pinned ?? -1) >= 0 && data.pinned !== scene.pinned) hovered = -1; // until the pointer moves
    scene = data;
    over.replaceChildren();
    if (data.density && banded !== look.text) {
      bands = densityImage(places, view.box, look.text);
      banded = look.text;
      crowding.replaceChildren(bands.canvas);
    }
    crowding.hidden = !data.density;
    items = data.marks.map((mark) => {
      const item = document.createElement("div");
      item.className = `um-mark um-${mark.kind}`;
      item.textContent = mark.kind === "place" ? "" : mark.text;
      item.title = mark.text;
      over.append(item);
      ruler.font = `600 13px ${getComputedStyle(root).fontFamily}`;
      return { item, mark, wide: Math.min(190, ruler.measureText(mark.text).width) / 2 + 7 };
    });
    for (const { shape } of shapes) shape.remove();
    shapes = [["polyline", data.path], ["polygon", data.lasso]].filter(([, line]) => line.length > 1).map(([tag, line]) => {
      const shape = document.createElementNS(svg.namespaceURI, tag);
      shape.classList.add(tag === "polygon" ? "um-border" : "um-path");
      svg.append(shape);
      return { shape, line };
    });
    ground.hidden = !data.ground;
    if (data.ground) ground.src = data.ground.image;
    tell();
    moved();
  }

  function moved() {
    place();
    view.remember();
  }

  function place() {
    const [width, height] = view.size(), taken = covered();
    for (const { item, mark, wide } of items) {
      let [x, y] = view.toScreen([mark.x, mark.y]);
      const inside = x > 0 && y > 0 && x < width && y < height, label = mark.kind === "label";
      if (label) x = Math.max(wide, Math.min(x, width - wide));
      item.hidden = !inside || (label && !fits(mark)) || (!free(taken, x, y, wide) && label);
      if (!item.hidden) item.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
    }
    for (const { shape, line } of shapes)
      shape.setAttribute("points", line.map((at) => view.toScreen(at).join(",")).join(" "));
    if (scene.ground) lay(ground, scene.ground.box);
    if (scene.density) lay(crowding, bands.box);
    if (row >= 0) hold();
  }

  function lay(element, [left, low, right, high]) {
    const [x, y] = view.toScreen([left, high]), [x2, y2] = view.toScreen([right, low]);
    Object.assign(element.style, { left: `${x}px`, top: `${y}px`, width: `${x2 - x}px`, height: `${y2 - y}px` });
  }

  // A crowd that fills the window needs no name any more, and one of a finer level none from afar.
  function fits({ level, radius }) {
    const across = 2 * view.pixels(radius ?? 0), [width, height] = view.size();
    return !radius || (across < 1.6 * Math.max(width, height) && (!level || across > CLEAR * 2 ** level));
  }

  // Boxes of the stage that controls cover: no label is written under one.
  function covered() {
    const { left, top } = over.getBoundingClientRect();
    return [...root.querySelectorAll(".um-bar, .um-legend"), ...document.querySelectorAll(scene.avoid || "none")]
      .map((element) => element.getBoundingClientRect()).filter((box) => box.width)
      .map((b) => ({ x: (b.left + b.right) / 2 - left, y: (b.top + b.bottom) / 2 - top, wide: b.width / 2, tall: b.height / 2 }));
  }

  // Marks come first, then labels of large regions; a label that would cover something waits.
  function free(taken, x, y, wide) {
    const tall = 11;
    if (taken.some((t) => Math.abs(t.x - x) < t.wide + wide && Math.abs(t.y - y) < t.tall + tall)) return false;
    taken.push({ x, y, wide, tall });
    return true;
  }

  function hover(i) {
    hovered = i;
    tell();
  }

  // The card of the point that is hovered over, else of the one that the scene pins.
  async function tell() {
    const i = hovered >= 0 ? hovered : scene.pinned ?? -1, same = i === row && !card.hidden;
    row = i;
    card.hidden = i < 0 || !scene.thumbnails;
    if (card.hidden) return;
    const address = same ? null : addressOf(scene.thumbnails, "row", i), image = address && imageAt(address, { alt: "" });
    const words = same ? card.querySelector("span") : document.createElement("span"), more = document.createElement("small");
    more.textContent = about(i);
    if (same) card.querySelector("small").replaceWith(more);
    else card.replaceChildren(...[image, words, more].filter(Boolean));
    hold();
    if (same || !scene.captions) return;
    const caption = await textAt(scene.captions, i).catch(() => "");
    if (row !== i) return;
    words.textContent = caption;
    if (image) image.alt = caption;
    hold();
  }
  function hold() {
    const [x, y] = view.toScreen(placeOf(row)), [width, height] = view.size();
    card.style.visibility = x < 0 || y < 0 || x > width || y > height ? "hidden" : "";
    const right = x + 200 < width, low = y + Math.max(200, card.offsetHeight) + EDGE < height;
    card.style.transform = `translate(${right ? x + EDGE : x - EDGE}px, ${low ? y + EDGE : y - EDGE}px) translate(${right ? 0 : -100}%, ${low ? 0 : -100}%)`;
  }

  return { show, moved, hover };
}
