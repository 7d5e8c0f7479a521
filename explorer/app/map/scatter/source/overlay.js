// What lies over and under the points and moves with them: labels, marks, lines, images, a card.

const IMAGE = 52; // pixels
const MOST_IMAGES = 150;
const MOST_LOOKED_THROUGH = 4000; // points in sight that one still asks for their images
const EDGE = 10;

export function createOverlay(root, view, plot, places) {
  const find = (name) => root.querySelector(name);
  const over = find(".um-over"), svg = find(".um-lines"), card = find(".um-card"), ground = find(".um-ground");
  const n = places.length / 2;
  let scene = { marks: [], path: [], lasso: [], thumbnails: "" }, row = -1, items = [], shapes = [];
  const images = new Map();
  const placeOf = (i) => [places[2 * i], places[2 * i + 1]];
  const address = (template, i) => template.replace("{row}", i);

  function show(data) {
    scene = data;
    over.replaceChildren();
    images.clear();
    items = data.marks.map((mark) => {
      const item = document.createElement("div");
      item.className = `um-mark um-${mark.kind}`;
      item.textContent = mark.kind === "place" ? "" : mark.text;
      item.title = mark.text;
      over.append(item);
      return { item, mark };
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
    moved();
  }

  let waiting = 0;
  function moved() {
    place();
    view.remember();
    clearTimeout(waiting);
    waiting = setTimeout(putImages, 120);
  }

  function place() {
    const [width, height] = view.size(), taken = [];
    for (const { item, mark } of items) {
      let [x, y] = view.toScreen([mark.x, mark.y]);
      const inside = x > 0 && y > 0 && x < width && y < height, label = mark.kind === "label";
      if (label) x = Math.max(half(item), Math.min(x, width - half(item)));
      item.hidden = !inside || (!free(taken, x, y, item) && label);
      if (!item.hidden) item.style.transform = `translate(${x}px, ${y}px) translate(-50%, -50%)`;
    }
    for (const { shape, line } of shapes)
      shape.setAttribute("points", line.map((at) => view.toScreen(at).join(",")).join(" "));
    for (const [i, image] of images) put(image, view.toScreen(placeOf(i)));
    if (scene.ground) {
      const [left, low, right, high] = scene.ground.box;
      const [x, y] = view.toScreen([left, high]), [x2, y2] = view.toScreen([right, low]);
      Object.assign(ground.style, { left: `${x}px`, top: `${y}px`, width: `${x2 - x}px`, height: `${y2 - y}px` });
    }
    if (row >= 0) hold();
  }

  const half = (item) => item.textContent.length * 3.6 + 6; // of its width

  // Marks come first, then labels of large regions; a label that would cover something waits.
  function free(taken, x, y, item) {
    const wide = half(item), tall = 11;
    if (taken.some((t) => Math.abs(t.x - x) < t.wide + wide && Math.abs(t.y - y) < t.tall + tall)) return false;
    taken.push({ x, y, wide, tall });
    return true;
  }

  const put = (image, [x, y]) => { image.style.transform = `translate(${x - IMAGE / 2}px, ${y - IMAGE / 2}px)`; };

  function inSight() {
    const [width, height] = view.size(), [left, high] = view.toMap(0, 0), [right, low] = view.toMap(width, height);
    const found = [];
    for (let i = 0; i < n; i++) {
      const x = places[2 * i], y = places[2 * i + 1];
      if (x > left && x < right && y > low && y < high && found.push(i) > MOST_LOOKED_THROUGH) return [];
    }
    return found;
  }

  // Points become images where there is room: no two closer than an image is wide.
  function putImages() {
    const chosen = new Set();
    if (scene.thumbnails) {
      const cells = new Set(), rows = inSight();
      const shown = [...images.keys()].filter((i) => rows.includes(i));
      for (const i of rows.length > 1.5 * MOST_IMAGES ? [] : [...shown, ...rows]) {
        const [x, y] = view.toScreen(placeOf(i)), cell = (dx, dy) => `${Math.round(x / IMAGE) + dx},${Math.round(y / IMAGE) + dy}`;
        if (cells.has(cell(0, 0)) || chosen.size >= MOST_IMAGES) continue;
        cells.add(cell(0, 0));
        chosen.add(i);
      }
    }
    for (const [i, image] of images) if (!chosen.has(i)) { image.remove(); images.delete(i); }
    for (const i of chosen) {
      if (images.has(i)) continue;
      const image = Object.assign(new Image(IMAGE, IMAGE), { className: "um-image", alt: "", src: address(scene.thumbnails, i) });
      image.onerror = () => image.remove();
      images.set(i, image);
      over.prepend(image);
      put(image, view.toScreen(placeOf(i)));
    }
  }

  async function hover(i) {
    row = i;
    card.hidden = i < 0 || !scene.thumbnails;
    if (card.hidden) return;
    const image = Object.assign(new Image(), { alt: "", src: address(scene.thumbnails, i) });
    const words = document.createElement("span");
    card.replaceChildren(image, words);
    hold();
    if (!scene.captions) return;
    const answer = await fetch(address(scene.captions, i)).catch(() => null);
    if (row === i && answer?.ok) image.alt = words.textContent = await answer.text();
  }
  function hold() {
    const [x, y] = view.toScreen(placeOf(row)), [width, height] = view.size();
    const right = x + 200 < width, low = y + 210 < height;
    card.style.transform = `translate(${right ? x + EDGE : x - EDGE}px, ${low ? y + EDGE : y - EDGE}px) translate(${right ? 0 : -100}%, ${low ? 0 : -100}%)`;
  }

  return { show, moved, hover };
}
