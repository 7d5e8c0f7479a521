// One map in one element: it fetches what the scene refers to, draws it, and reports what is done.
import createScatterplot from "regl-scatterplot";
import { legend, palette, themed } from "./colours.js";
import { freehand } from "./freehand.js";
import { createOverlay } from "./overlay.js";
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
      <span class="um-tools"></span>
      <span class="um-zoom"><button data-zoom="1.5" aria-label="Zoom in">+</button>
        <button data-zoom="0.667" aria-label="Zoom out">−</button>
        <button data-zoom="0">All</button></span>
    </div>
    <div class="um-stage"><img class="um-ground" alt="" hidden>
      <canvas class="um-canvas" tabindex="0"></canvas>
      <div class="um-over"></div><svg class="um-lines" aria-hidden="true"></svg>
      <div class="um-card" hidden></div><div class="um-wait">Loading the map…</div></div>
    <div class="um-legend"></div><div class="um-said" role="status"></div>`;
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

function createMap(parent) {
  const root = frame(parent), find = (name) => root.querySelector(name);
  const stage = find(".um-stage"), canvas = find(".um-canvas"), wait = find(".um-wait");
  let plot = null, view = null, overlay = null, places = null, mode = "look";
  let scene = null, drawn = {}, turn = 0, latest = Promise.resolve();
  const map = { show, destroy, report: () => {} };

  function show(data) {
    scene = data;
    const mine = ++turn;
    stage.style.height = `min(${data.height}px, 100cqw)`;
    latest = latest.then(() => mine === turn && update(data)).catch((error) => {
      wait.hidden = false;
      wait.textContent = `The map cannot be shown: ${error.message}`;
    });
  }

  async function update(data) {
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", `${data.name}. Arrow keys move, plus and minus zoom, Enter chooses the middle.`);
    if (drawn.xy !== data.xy) places = new Float32Array(await fetched(data.xy));
    const changed = drawn.xy !== data.xy || !plot;
    if (changed) start(data);
    const codes = data.colours && (await fetchedOnce(data.colours));
    const look = themed(root);
    const painted = JSON.stringify([data.colours?.codes, look]);
    if (changed || drawn.painted !== painted) await paint(data, codes, look);
    drawn = { xy: data.xy, painted };
    legend(find(".um-legend"), data.colours, look);
    overlay.show(data);
    enclose(data.lasso);
    wait.hidden = true;
    root.dataset.points = places.length / 2; // what the tests wait for
    root.where = (row) => { // and where they click
      const box = canvas.getBoundingClientRect(), [x, y] = view.toScreen([places[2 * row], places[2 * row + 1]]);
      return [box.left + x, box.top + y];
    };
  }

  let kept = {};
  async function fetchedOnce({ codes, names }) {
    if (kept.codes !== codes) {
      const content = await fetched(codes);
      kept = { codes, values: names ? new Uint8Array(content) : new Float32Array(content) };
    }
    return kept.values;
  }

  function start(data) {
    plot?.destroy();
    view?.destroy();
    const n = places.length / 2;
    plot = createScatterplot({
      canvas,
      backgroundColor: [0, 0, 0, 0],
      actionKeyMap: {},
      performanceMode: n > MANY,
      opacityInactiveMax: 1, // what a lasso leaves out keeps its colour
      opacityInactiveScale: 1,
      deselectOnDblClick: false,
      deselectOnEscape: false,
      lassoMinDist: 1e9, // its own lasso and its clicks stay out of the way of ours
    });
    view = createView(plot, canvas, places);
    overlay = createOverlay(root, view, plot, places);
    plot.subscribe("pointover", (row) => overlay.hover(row));
    plot.subscribe("pointout", () => overlay.hover(-1));
    plot.subscribe("drawing", () => overlay.moved());
  }

  async function paint(data, codes, look) {
    const n = places.length / 2, { x, y } = view.normal;
    const points = { x, y }, options = {};
    const colours = palette(data.colours, look);
    if (codes) {
      points.z = data.colours.names ? codes : codes.map((v) => (Number.isNaN(v) ? 0 : v));
      options.zDataType = data.colours.names ? "categorical" : "continuous";
    }
    plot.set({
      colorBy: codes ? "valueZ" : null,
      pointColor: codes ? colours : look.point,
      pointColorActive: look.text,
      pointColorHover: look.text,
      pointSize: Math.max(1, Math.min(9, 260 / Math.sqrt(n))) + 1,
      pointSizeSelected: 1,
      opacity: n > MANY ? 1 : Math.max(0.35, Math.min(0.9, 60 / Math.sqrt(n))),
    });
    await plot.draw(points, options);
    if (drawn.xy !== data.xy) view.start();
  }

  function enclose(border) {
    if (border.length > 2 && places.length < 2 * MANY) plot.lassoSelect(border.map(view.toNormal), { isGl: true });
    else plot.deselect({ preventEvent: true });
  }

  // ---- what people do ---------------------------------------------------------------------------

  function choose(wanted) {
    mode = wanted;
    stage.dataset.mode = mode;
    for (const button of root.querySelectorAll("[data-mode]"))
      button.setAttribute("aria-pressed", button.dataset.mode === mode);
  }
  choose("look");

  function say(kind, spots, row = null) {
    if (!spots.length) return;
    const what = { click: "place chosen", lasso: "border drawn", path: "path drawn" }[kind];
    find(".um-said").textContent = what;
    map.report({ kind, places: spots, row, at: Date.now() });
  }

  root.addEventListener("click", ({ target }) => {
    if (target.dataset.mode) choose(target.dataset.mode);
    else if (target.dataset.zoom && view) Number(target.dataset.zoom) ? view.zoom(Number(target.dataset.zoom)) : view.all();
  });

  let pressed = null;
  canvas.addEventListener("pointerdown", (event) => {
    pressed = { x: event.clientX, y: event.clientY, at: event.timeStamp };
  });
  canvas.addEventListener("click", (event) => {
    if (!pressed || mode !== "look" || !view) return;
    const moved = Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y);
    if (moved > 5 || event.timeStamp - pressed.at > 1500) return;
    const reach = Math.max(plot.get("pointSize") / 2, REACH[event.pointerType] ?? REACH.mouse);
    const row = view.nearest(event.offsetX, event.offsetY, reach);
    say("click", [row >= 0 ? [places[2 * row], places[2 * row + 1]] : view.toMap(event.offsetX, event.offsetY)], row >= 0 ? row : null);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && view) say("click", [view.toMap(canvas.clientWidth / 2, canvas.clientHeight / 2)]);
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

  function destroy() {
    scheme.removeEventListener("change", again);
    view?.destroy();
    plot?.destroy();
  }
  return map;
}
