// One map in one element: it fetches what the scene refers to, draws it, and reports what is done.
import createScatterplot from "regl-scatterplot";
import { codesOf, legend, palette, themed, told } from "./colours.js";
import { freehand } from "./freehand.js";
import { createKeyline } from "./keyline.js";
import { createOverlay } from "./overlay.js";
import { createPictures } from "./pictures.js";
import style from "./style.css";
import { createView } from "./view.js";

const MANY = 100000; // points that are drawn as plain squares, and not enlarged one by one
const REACH = { mouse: 5, pen: 8, touch: 14 }; // pixels from a point within which it is meant
const maps = new WeakMap();

export default function mount({ data, parentElement, setTriggerValue }) {
  if (!maps.has(parentElement)) maps.set(parentElement, createMap(parentElement));
  const map = maps.get(parentElement);
  map.report = (event) => setTriggerValue("event", event);
  map.show(data);
  return () => {
    map.destroy();
    maps.delete(parentElement);
  };
}

const TOOLS = [
  ["look", "Move", "Drag to move, scroll or pinch to zoom, click to choose"],
  ["lasso", "Lasso", "Draw around images to choose them"],
  ["path", "Path", "Draw a line to travel along"],
];

function frame(parent) {
  const root = parent.querySelector(".unclip-map");
  root.innerHTML = `<style></style>
    <div class="um-bar" role="toolbar" aria-label="Map tools">
      <span class="um-tools"></span><span class="um-far" hidden></span>
      <span class="um-zoom"><button data-zoom="1.5" aria-label="Zoom in">+</button>
        <button data-zoom="0.667" aria-label="Zoom out">−</button>
        <button data-zoom="0">All</button></span>
    </div>
    <div class="um-stage"><div class="um-density" hidden></div><img class="um-ground" alt="" hidden>
      <canvas class="um-canvas" tabindex="0"></canvas><canvas class="um-pictures" aria-hidden="true"></canvas>
      <div class="um-over"></div><svg class="um-lines" aria-hidden="true"></svg>
      <div class="um-card" hidden></div><div class="um-wait">Loading the map…</div></div>
    <div class="um-legend" role="group" aria-label="Legend"></div><div class="um-said" role="status"></div>`;
  root.querySelector("style").textContent = style;
  const tools = root.querySelector(".um-tools");
  for (const [mode, name, help] of TOOLS) {
    const button = Object.assign(document.createElement("button"), { textContent: name, title: help });
    button.dataset.mode = mode;
    tools.append(button);
  }
  return root;
}

const fetched = async (address) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}; reload the page.`);
  return answer.arrayBuffer();
};

function rendererOf(options) {
  const probe = document.createElement("canvas").getContext("webgl");
  if (!probe) throw new Error("it needs WebGL, which this browser has turned off or lacks.");
  probe.getExtension("WEBGL_lose_context")?.loseContext(); // a page may have few
  return createScatterplot(options);
}

function createMap(parent) {
  const root = frame(parent), find = (name) => root.querySelector(name);
  const stage = find(".um-stage"), canvas = find(".um-canvas"), wait = find(".um-wait");
  let plot = null, view = null, overlay = null, keyline = null, pictures = null, places = null, mode = "look";
  let colours = [], codes = new Uint8Array(), values = null, selected = null, picked = null;
  let scene = null, drawn = {}, turn = 0, latest = Promise.resolve();
  const map = { show, destroy, report: () => {} };

  function show(data) {
    scene = data;
    const mine = ++turn;
    root.toggleAttribute("data-fill", !data.height); // the window, but for what the page reserves
    stage.style.height = data.height ? `min(${data.height}px, 100cqw)` : "100%";
    latest = latest.then(() => mine === turn && update(data)).catch((error) => {
      wait.hidden = false;
      wait.textContent = `The map cannot be shown: ${error.message}`;
    });
  }

  async function update(data) {
    canvas.setAttribute("role", "application");
    const tools = data.tools, corners = tools.length > 1 ? "; with Lasso or Path, Space sets a corner there" : "";
    canvas.setAttribute("aria-label", `${data.name}. Arrow keys move, plus and minus zoom, Enter chooses the middle${corners}.`);
    if (drawn.xy !== data.xy) places = new Float32Array(await fetched(data.xy));
    const changed = drawn.xy !== data.xy || !plot;
    if (changed) start(data);
    if (drawn.colours !== data.colours?.codes) picked = null;
    values = data.colours ? await fetchedOnce("values", data.colours.codes, data.colours.names ? Uint8Array : Float64Array) : null;
    selected = data.selected ? await fetchedOnce("selected", data.selected, Uint8Array) : null;
    const order = data.atlas ? await fetchedOnce("order", data.atlas.order, Uint32Array) : null;
    const look = themed(root);
    const painted = JSON.stringify([data.colours?.codes, data.selected, look]);
    if (changed || drawn.painted !== painted) await paint(look);
    drawn = { xy: data.xy, colours: data.colours?.codes, painted };
    for (const button of root.querySelectorAll("button[data-mode]"))
      button.hidden = tools.length < 2 || !tools.includes(button.dataset.mode);
    overlay.show(data, look);
    pictures.show(data, order);
    drawPictures();
    const latest = data.marks.filter((mark) => mark.kind === "place").at(-1);
    if (latest) view.reach([latest.x, latest.y]);
    wait.hidden = true;
    root.dataset.points = places.length / 2; // what the tests wait for
    root.where = (row) => { // and where they click
      const box = canvas.getBoundingClientRect(), [x, y] = view.toScreen([places[2 * row], places[2 * row + 1]]);
      return [box.left + x, box.top + y];
    };
  }

  const kept = {};
  async function fetchedOnce(name, address, Kind) {
    if (kept[name]?.address !== address) kept[name] = { address, content: new Kind(await fetched(address)) };
    return kept[name].content;
  }

  function start(data) {
    plot?.destroy();
    view?.destroy();
    keyline?.destroy();
    const n = places.length / 2;
    plot = rendererOf({
      canvas,
      backgroundColor: [0, 0, 0, 0],
      actionKeyMap: {},
      performanceMode: n > MANY,
      deselectOnDblClick: false,
      deselectOnEscape: false,
      lassoMinDist: 1e9, // its own lasso and its clicks stay out of the way of ours
    });
    view = createView(plot, canvas, places, data.height ? [0, 0] : [0.14, 0.09], data.remembers);
    overlay = createOverlay(root, view, places, (row) => told(scene.colours, values, row));
    pictures = createPictures(find(".um-pictures"), view, places, (row) => codes[row] > 0, drawSoon);
    keyline = createKeyline(find(".um-lines"), view, () => mode, (words) => { find(".um-said").textContent = words; }, (kind, line) => {
      say(kind, line);
      choose("look");
    });
    plot.subscribe("pointover", (row) => overlay.hover(row));
    plot.subscribe("pointout", () => overlay.hover(-1));
    plot.subscribe("drawing", moved);
  }

  let settling = 0;
  function moved() {
    const far = view.far(), note = find(".um-far");
    note.hidden = !far;
    if (far) note.textContent = `${far.toLocaleString("en")} ${far > 1 ? "images lie" : "image lies"} far from the rest; All shows ${far > 1 ? "them" : "it"}.`;
    overlay.moved();
    keyline.moved();
    drawPictures();
    clearTimeout(settling);
    settling = setTimeout(() => {
      pictures.choose();
      drawPictures();
    }, 100);
  }
  const drawPictures = () => pictures?.draw((row) => colours[codes[row]]);
  let soon = 0; // many images may come in one frame
  function drawSoon() {
    soon ||= requestAnimationFrame(() => { soon = 0; drawPictures(); });
  }

  async function paint(look) {
    const n = places.length / 2, { x, y } = view.normal;
    const usual = Math.max(1, Math.min(9, 260 / Math.sqrt(n))) + 1;
    colours = palette(scene.colours, look);
    codes = codesOf(n, scene.colours, values, selected, picked);
    // The renderer counts from 0 to the largest number there is, and each has its colour and size.
    const count = codes.reduce((a, b) => Math.max(a, b), 1) + 1;
    plot.set({
      colorBy: "valueZ",
      sizeBy: "valueZ",
      pointColor: colours.slice(0, count),
      pointColorActive: look.text,
      pointColorHover: look.text,
      pointSize: Array.from({ length: count }, (_, code) => (code ? usual : Math.max(1, usual - 1.5))),
      opacity: n > MANY ? 1 : Math.max(0.5, Math.min(0.95, 60 / Math.sqrt(n))),
    });
    await plot.draw({ x, y, z: codes }, { zDataType: "categorical" });
    if (drawn.xy !== scene.xy) view.start();
    legend(find(".um-legend"), scene.colours, colours, values, picked, (next) => {
      picked = next;
      latest = latest.then(() => paint(look)).then(() => pictures.choose()).then(drawPictures);
    });
    root.dataset.coloured = codes.reduce((sum, code) => sum + (code > 0), 0); // for the tests
  }

  // ---- what people do ---------------------------------------------------------------------------

  function choose(wanted) {
    mode = wanted;
    stage.dataset.mode = mode;
    keyline?.clear();
    for (const button of root.querySelectorAll("button[data-mode]"))
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
  }
  choose("look");

  function say(kind, spots, row = null, keys = false) {
    if (!spots.length) return;
    const what = { click: "place chosen", lasso: "border drawn", path: "path drawn" }[kind];
    find(".um-said").textContent = what;
    map.report({ kind, places: spots, row, keys, at: Date.now() });
  }

  root.addEventListener("click", ({ target }) => {
    if (target.dataset.mode) choose(target.dataset.mode);
    else if (target.dataset.zoom && view) Number(target.dataset.zoom) ? view.zoom(Number(target.dataset.zoom)) : view.all();
  });

  let pressed = null;
  canvas.addEventListener("pointerdown", (event) => {
    pressed = { x: event.clientX, y: event.clientY, at: event.timeStamp, camera: view?.camera() };
  }, { capture: true });
  canvas.addEventListener("click", (event) => {
    if (!pressed || mode !== "look" || !view) return;
    const moved = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y);
    if (moved > 5 || event.timeStamp - pressed.at > 1500) return;
    // The renderer takes a press soon after a move for a drag by that move.
    if (pressed.camera) view.restore(pressed.camera);
    const reach = Math.max(pictures.size() / 2, REACH[event.pointerType] ?? REACH.mouse);
    const row = view.nearest(event.offsetX, event.offsetY, reach);
    say("click", [row >= 0 ? [places[2 * row], places[2 * row + 1]] : view.toMap(event.offsetX, event.offsetY)], row >= 0 ? row : null);
  });
  canvas.addEventListener("keydown", (event) => {
    if (keyline?.key(event.key)) return event.preventDefault();
    if (event.key === "Enter" && view) say("click", [view.toMap(canvas.clientWidth / 2, canvas.clientHeight / 2)], null, true);
    else if (!view?.key(event)) return;
    event.preventDefault();
  });
  freehand(stage, find(".um-lines"), () => mode, (kind, line) => {
    if (view) say(kind, line.map(([x, y]) => view.toMap(x, y)));
    choose("look");
  });

  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const again = () => scene && show(scene);
  scheme.addEventListener("change", again);

  const resizing = new ResizeObserver(() => {
    if (!view || !drawn.xy) return;
    view.resized();
    moved();
  });
  resizing.observe(stage);

  function destroy() {
    resizing.disconnect();
    scheme.removeEventListener("change", again);
    view?.destroy();
    plot?.destroy();
  }
  return map;
}
