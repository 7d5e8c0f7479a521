"use strict";
// The card of an image, the search, the legend, and the start; it follows map.js in the page.

// ---- the card of one image ------------------------------------------------------------------

const element = (name, text) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
};
const shown = (value) => (value === null ? "–" : String(value));

function show(i, speak) {
  hovered = i;
  const one = i >= 0 ? i : pinned;
  const card = $("card");
  card.className = one >= 0 && one === pinned ? "panel pinned" : "panel";
  card.replaceChildren();
  if (one >= 0) {
    const large = element("canvas");
    large.width = large.height = 160 * ratio;
    large.style.width = large.style.height = "160px";
    large.getContext("2d").imageSmoothingQuality = "high";
    if (image(large.getContext("2d"), one, 0, 0, 160 * ratio)) card.append(large);
    card.append(element("b", data.labels[one]));
    const list = element("dl");
    for (const column of data.columns) {
      list.append(element("dt", column.name), element("dd", shown(column.values[one])));
    }
    card.append(list);
    if (speak) $("spoken").textContent = [data.labels[one], ...data.columns.map((c) => c.name + " " + shown(c.values[one]))].join(", ");
  }
  draw();
}

function placeCard() {
  const one = hovered >= 0 ? hovered : pinned, card = $("card");
  card.style.visibility = one >= 0 ? "visible" : "hidden";
  if (one < 0) return;
  const [x, y] = toScreen(one), gap = Math.max(18, size * 0.7 + 8);
  const left = x + gap + 240 < width ? x + gap : x - gap - 240;
  card.style.left = Math.max(8, Math.min(left, width - 248)) + "px";
  card.style.top = Math.max(64, Math.min(y - 60, height - card.offsetHeight - 12)) + "px";
}

// ---- finding and colouring --------------------------------------------------------------------

const texts = data.labels.map((label, i) =>
  [label, ...data.columns.filter((c) => c.kind === "text").map((c) => shown(c.values[i]))].join("\n").toLowerCase());

function find() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  found = words.length ? Uint8Array.from(texts, (text) => words.every((word) => text.includes(word))) : null;
  state();
  show(-1, false);
}

function state() {
  let count = 0;
  for (let i = 0; i < n; i++) count += kept(i);
  const all = n.toLocaleString("en") + (n === 1 ? " image" : " images");
  $("state").textContent = count === n ? all : count.toLocaleString("en") + " of " + all;
}

function colourBy(column) {
  const legend = $("legend");
  legend.replaceChildren();
  [picked, group] = [-1, new Int32Array(n).fill(-1)];
  colours = new Array(n).fill(column ? OTHER : PALETTE[0]);
  if (column) {
    legend.append(element("h2", column.name));
    (column.kind === "number" ? colourNumbers : colourNames)(column, legend);
  }
  state();
  draw();
}

function colourNumbers(column, legend) {
  const [low, high] = column.range;
  const parts = RAMP.map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  column.values.forEach((value, i) => {
    if (value === null) return;
    const place = ((value - low) / (high - low || 1)) * (RAMP.length - 1);
    const k = Math.min(RAMP.length - 2, Math.floor(place));
    colours[i] = "rgb(" + parts[k].map((c, at) => Math.round(c + (parts[k + 1][at] - c) * (place - k))).join() + ")";
  });
  const ramp = element("div"), ends = element("div");
  ramp.className = "ramp";
  ramp.style.background = "linear-gradient(90deg," + RAMP.join() + ")";
  ends.className = "ends";
  ends.append(element("span", shown(low)), element("span", shown(high)));
  legend.append(ramp, ends);
}

function colourNames(column, legend) {
  const counts = new Map();
  for (const value of column.values) counts.set(value, (counts.get(value) || 0) + 1);
  const names = [...counts].filter(([name]) => name !== null).sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const entries = names.length > PALETTE.length ? names.slice(0, PALETTE.length - 1) : names;
  const place = new Map(entries.map((name, k) => [name, k]));
  column.values.forEach((value, i) => {
    group[i] = place.has(value) ? place.get(value) : entries.length;
    colours[i] = place.has(value) ? PALETTE[group[i]] : OTHER;
  });
  const rest = n - entries.reduce((sum, name) => sum + counts.get(name), 0);
  const lines = entries.map((name, k) => [shown(name), PALETTE[k], counts.get(name)]);
  if (rest) lines.push([names.length > entries.length ? "all others" : "none", OTHER, rest]);
  lines.forEach(([name, colour, count], k) => {
    const button = element("button"), mark = element("i"), text = element("span", name), number = element("span", count);
    mark.style.background = colour;
    [text.className, number.className, button.title] = ["name", "count", name];
    button.setAttribute("aria-pressed", "false");
    button.append(mark, text, number);
    button.addEventListener("click", () => {
      picked = picked === k ? -1 : k;
      legend.querySelectorAll("button").forEach((other, at) => other.setAttribute("aria-pressed", String(at === picked)));
      state();
      show(-1, false);
    });
    legend.append(button);
  });
}

// ---- start ------------------------------------------------------------------------------------

$("title").textContent = data.title;
$("note").textContent = data.note;
$("warning").textContent = data.warning;
const choices = [null, ...data.columns];
choices.forEach((column, k) => {
  const option = element("option", column ? column.name : "none");
  option.value = k;
  $("colour").append(option);
});
$("colour").value = 1 + data.columns.findIndex((column) => column.name === data.colour);
$("colour").addEventListener("change", () => colourBy(choices[$("colour").value]));
$("named").hidden = !data.regions.length;
$("labels").addEventListener("change", draw);
$("find").addEventListener("input", find);
$("find").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  for (let step = 1; step <= n; step++) {
    const i = (Math.max(hovered, -1) + step) % n;
    if (kept(i)) return goTo(i);
  }
});
$("in").addEventListener("click", () => zoom(1.5));
$("out").addEventListener("click", () => zoom(1 / 1.5));
$("all").addEventListener("click", showAll);
function resize() {
  const first = !width;
  [width, height, ratio] = [innerWidth, innerHeight, devicePixelRatio || 1];
  [canvas.width, canvas.height] = [width * ratio, height * ratio];
  if (first) showAll();
  draw();
}
addEventListener("resize", resize);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
colourBy(choices[$("colour").value]);
resize();
