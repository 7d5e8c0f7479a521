"use strict";
// Draws the map of map.html: dots from afar, the images themselves from near. It asks no network,
// and every text reaches the page through textContent, because names and captions can be hostile.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const canvas = $("map");
const pen = canvas.getContext("2d");
const n = data.xy.length / 2;
const PALETTE = ["#4269d0", "#ef7d22", "#3ca951", "#e0457b", "#6cc5b0", "#a463f2", "#9c6b4e", "#d9a514", "#38b2e8", "#b05279"];
const OTHER = "#8d9299";
const RAMP = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"]; // viridis
const CELL = 40; // buckets a side, for finding the point under the pointer
const SIZES = [112, 88, 72, 60, 48, 40, 32, 26]; // pixels an image; where even 26 is too much: dots

let width = 0, height = 0, ratio = 1;
let view = { x: 0, y: 0, scale: 1 }; // map place in the middle, pixels a map unit
let colours = new Array(n).fill(PALETTE[0]);
let group = new Int32Array(n); // legend entry of every point, -1: none
let picked = -1; // chosen legend entry
let found = null; // Uint8Array: which points the search keeps; null: all
let hovered = -1, pinned = -1;
let size = 0; // of the images on the map, in pixels; 0: dots
let labelled = []; // words of regions that are written now, and their boxes on the screen
let waiting = false;

// ---- where things are -------------------------------------------------------------------------

const X = new Float32Array(n), Y = new Float32Array(n);
let box = [Infinity, Infinity, -Infinity, -Infinity];
for (let i = 0; i < n; i++) {
  X[i] = data.xy[2 * i];
  Y[i] = -data.xy[2 * i + 1]; // a screen counts downwards
  box = [Math.min(box[0], X[i]), Math.min(box[1], Y[i]), Math.max(box[2], X[i]), Math.max(box[3], Y[i])];
}
const span = Math.max(box[2] - box[0], box[3] - box[1]) || 1;
const buckets = new Map();
const bucket = (x, y) => Math.floor(((x - box[0]) / span) * CELL) * 1000 + Math.floor(((y - box[1]) / span) * CELL);
for (let i = 0; i < n; i++) {
  const key = bucket(X[i], Y[i]);
  if (!buckets.has(key)) buckets.set(key, []);
  buckets.get(key).push(i);
}

const toScreen = (i) => [(X[i] - view.x) * view.scale + width / 2, (Y[i] - view.y) * view.scale + height / 2];
const toMap = (sx, sy) => [(sx - width / 2) / view.scale + view.x, (sy - height / 2) / view.scale + view.y];
const inside = (x, y, margin) => x >= -margin && y >= -margin && x <= width + margin && y <= height + margin;
const kept = (i) => (!found || found[i] === 1) && (picked < 0 || group[i] === picked);

function near(sx, sy) {
  const reach = Math.max(9, size / 2);
  const [left, top] = toMap(sx - reach, sy - reach), [right, bottom] = toMap(sx + reach, sy + reach);
  const step = span / CELL;
  let best = -1, least = reach * reach * 2;
  for (let x = left; x < right + step; x += step) {
    for (let y = top; y < bottom + step; y += step) {
      for (const i of buckets.get(bucket(Math.min(x, right), Math.min(y, bottom))) || []) {
        const [px, py] = toScreen(i);
        if (Math.abs(px - sx) > reach || Math.abs(py - sy) > reach || !kept(i)) continue;
        const distance = (px - sx) ** 2 + (py - sy) ** 2;
        if (distance < least) [best, least] = [i, distance];
      }
    }
  }
  return best;
}

// ---- drawing ----------------------------------------------------------------------------------

const sheets = data.sheets.map((source) => {
  const image = new Image();
  image.onload = draw;
  image.src = source;
  return image;
});

function image(context, i, x, y, size) {
  const tile = data.tiles[i];
  if (tile < 0) return false;
  const sheet = sheets[Math.floor(tile / data.perSheet)];
  if (!sheet.complete || !sheet.naturalWidth) return false;
  const place = tile % data.perSheet, t = data.tile;
  context.drawImage(sheet, (place % data.perRow) * t, Math.floor(place / data.perRow) * t, t, t, x, y, size, size);
  return true;
}

function dot(i, x, y, radius) {
  pen.fillStyle = colours[i];
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.fill();
}

function framed(i, x, y, size, line) {
  pen.fillStyle = colours[i];
  pen.fillRect(x - size / 2 - line, y - size / 2 - line, size + 2 * line, size + 2 * line);
  pen.fillStyle = "#fff";
  pen.fillRect(x - size / 2, y - size / 2, size, size);
  return image(pen, i, x - size / 2, y - size / 2, size);
}

function draw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(paint);
}

function choose(places) { // images fit where points lie far apart, or where few are left in view
  let many = 0;
  for (let i = 0; i < n; i++) many += data.tiles[i] >= 0 && kept(i) && inside(places[2 * i], places[2 * i + 1], 0);
  const room = Math.max(data.spacing * view.scale * 0.9, Math.min(60, Math.sqrt((0.22 * width * height) / (many || 1))));
  return SIZES.find((fits) => fits <= room) || 0;
}

function paint() {
  waiting = false;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const places = new Float32Array(2 * n);
  for (let i = 0; i < n; i++) [places[2 * i], places[2 * i + 1]] = toScreen(i);
  size = choose(places);
  const small = Math.max(1.6, Math.min(5, data.spacing * view.scale * 0.28));
  const radius = found || picked >= 0 ? small + 1.5 : small;
  for (const wanted of [false, true]) { // what the search keeps lies on top
    pen.globalAlpha = wanted ? 1 : 0.18;
    for (let i = 0; i < n; i++) {
      const x = places[2 * i], y = places[2 * i + 1];
      if (!inside(x, y, Math.max(size, radius)) || kept(i) !== wanted) continue;
      if (wanted && size && data.tiles[i] >= 0) framed(i, x, y, size, 2);
      else if (n > 20000 && small < 2.2) {
        pen.fillStyle = colours[i];
        pen.fillRect(x - small, y - small, 2 * small, 2 * small); // many: circles would take too long
      } else dot(i, x, y, wanted ? radius : small);
    }
  }
  pen.globalAlpha = 1;
  putLabels();
  for (const i of new Set([pinned, hovered])) if (i >= 0) mark(i, radius);
  placeCard();
}

function mark(i, radius) {
  const [x, y] = toScreen(i), large = size && data.tiles[i] >= 0 ? Math.max(size * 1.25, 48) : 0;
  if (large) framed(i, x, y, large, 3);
  else dot(i, x, y, radius + 3);
  pen.strokeStyle = getComputedStyle(document.body).color;
  pen.lineWidth = 2;
  const half = large ? large / 2 + 4 : radius + 5;
  pen.strokeRect(x - half, y - half, 2 * half, 2 * half);
}

// Words of the regions, the largest first; one that would cover another, or a panel, waits for room.
function putLabels() {
  labelled = [];
  if (!data.regions.length || !$("labels").checked) return;
  const style = getComputedStyle(document.body), half = 10;
  const taken = ["bar", "legend", "note"].map((id) => $(id).getBoundingClientRect()).filter((box) => box.width)
    .map((box) => [box.left, box.top, box.right, box.bottom]);
  [pen.font, pen.textAlign, pen.textBaseline] = ["600 13px " + style.fontFamily, "center", "middle"];
  [pen.lineWidth, pen.lineJoin, pen.strokeStyle, pen.fillStyle] = [4, "round", style.backgroundColor, style.color];
  for (const [words, mapX, mapY] of data.regions) {
    let x = (mapX - view.x) * view.scale + width / 2, y = (-mapY - view.y) * view.scale + height / 2;
    y -= 14; // a small crowd is seen below its words
    if (!inside(x, y, 0)) continue;
    const text = words.length > 24 ? words.slice(0, 23) + "…" : words, wide = pen.measureText(text).width / 2 + 4;
    x = Math.max(wide, Math.min(x, width - wide));
    const box = [x - wide, y - half, x + wide, y + half];
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    labelled.push({ text, box });
    pen.strokeText(text, x, y);
    pen.fillText(text, x, y);
  }
}

// ---- moving about -----------------------------------------------------------------------------

function showAll() {
  const top = $("bar").offsetHeight + 24, edge = 36;
  const wide = box[2] - box[0] || 1, high = box[3] - box[1] || 1;
  view.scale = Math.min((width - 2 * edge) / wide, (height - top - 2 * edge) / high);
  view.x = (box[0] + box[2]) / 2;
  view.y = (box[1] + box[3]) / 2 - top / 2 / view.scale;
  draw();
}

function zoom(factor, sx = width / 2, sy = height / 2) {
  const [x, y] = toMap(sx, sy), all = Math.min(width, height) / span;
  view.scale = Math.max(all * 0.3, Math.min(view.scale * factor, Math.max(all * 8, 600 / data.spacing)));
  view.x = x - (sx - width / 2) / view.scale;
  view.y = y - (sy - height / 2) / view.scale;
  draw();
}

function goTo(i) {
  const [x, y] = toScreen(i);
  if (x < 60 || y < 100 || x > width - 60 || y > height - 60) [view.x, view.y] = [X[i], Y[i]];
  show(i, true);
}

function neighbour(dx, dy) { // the nearest in that direction: far aside counts double
  const from = hovered >= 0 ? hovered : pinned;
  const [x, y] = from >= 0 ? [X[from], Y[from]] : [view.x, view.y];
  let best = -1, least = Infinity;
  for (let i = 0; i < n; i++) {
    if (i === from || !kept(i)) continue;
    const along = (X[i] - x) * dx + (Y[i] - y) * dy, aside = Math.abs((X[i] - x) * dy - (Y[i] - y) * dx);
    const cost = along + 2 * aside;
    if ((from < 0 || along > 0) && aside <= Math.abs(along) && Math.abs(cost) < least) [best, least] = [i, Math.abs(cost)];
  }
  if (best >= 0) goTo(best);
}

const touches = new Map();
let pressed = null;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  touches.set(event.pointerId, [event.offsetX, event.offsetY]);
  pressed = { x: event.offsetX, y: event.offsetY, moved: touches.size > 1 };
});
canvas.addEventListener("pointermove", (event) => {
  const before = touches.get(event.pointerId), now = [event.offsetX, event.offsetY];
  if (!before) return show(near(...now), false);
  const others = [...touches].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
  if (others.length) {
    const length = (a) => Math.hypot(a[0] - others[0][0], a[1] - others[0][1]) || 1;
    zoom(length(now) / length(before), ...others[0]);
  } else if (pressed.moved || Math.hypot(now[0] - pressed.x, now[1] - pressed.y) > 4) {
    pressed.moved = true;
    canvas.classList.add("moving");
    view.x -= (now[0] - before[0]) / view.scale;
    view.y -= (now[1] - before[1]) / view.scale;
    draw();
  } else return;
  touches.set(event.pointerId, now);
});
function release(event) {
  touches.delete(event.pointerId);
  canvas.classList.remove("moving");
  if (event.type === "pointerup" && pressed && !pressed.moved) {
    pinned = near(event.offsetX, event.offsetY);
    show(pinned, true);
  }
}
canvas.addEventListener("pointerup", release);
canvas.addEventListener("pointercancel", release);
canvas.addEventListener("pointerleave", () => touches.size || show(-1, false));
canvas.addEventListener("dblclick", (event) => zoom(2, event.offsetX, event.offsetY));
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
  zoom(Math.exp(-Math.max(-300, Math.min(300, pixels)) * 0.002), event.offsetX, event.offsetY);
}, { passive: false });

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
canvas.addEventListener("keydown", (event) => {
  const arrow = ARROWS[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (arrow && event.shiftKey) {
    view.x += (arrow[0] * 80) / view.scale;
    view.y += (arrow[1] * 80) / view.scale;
    draw();
  } else if (arrow) neighbour(...arrow);
  else if (event.key === "+" || event.key === "=") zoom(1.4, ...(hovered >= 0 ? toScreen(hovered) : []));
  else if (event.key === "-") zoom(1 / 1.4);
  else if (event.key === "0") showAll();
  else if (event.key === "Enter") { pinned = hovered; show(hovered, true); }
  else if (event.key === "Escape") { pinned = -1; show(-1, false); }
  else return;
  event.preventDefault();
});
