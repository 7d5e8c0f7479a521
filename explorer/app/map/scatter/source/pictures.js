// Points as small images: cut from sheets that the server makes in the order of the map, so that
// what lies in sight is on few of them; or asked for one by one, where there are no sheets, or where
// what is seen from afar lies on more of them than are kept.

import { addressOf, imageAt } from "./address.js";

const TILE = 64, ACROSS = 8, PER_SHEET = ACROSS * ACROSS;
const MOST_SHEETS = 256; // 1 MiB of pixels each
const MOST = 2000; // images at once
const FEW = 4000; // points in sight that are images from the start, one in each cell
const LEAST = 26, LARGEST = 72; // pixels
const NO_TILE = 2 ** 32 - 1; // of a row whose image is on no sheet: it stays a point
const FILLED = 0.45; // part of the stage that images may cover

// `kept(row)`: whether a point has its colour; those that are grey stay points.
export function createPictures(canvas, view, places, kept, redraw) {
  const pen = canvas.getContext("2d"), n = places.length / 2;
  let source = {}, tileOf = null, cut = false, chosen = [], size = 0, mode = "near", ready = false;
  const sheets = new Map(), single = new Map();

  // `order`: the rows that have tiles, in the order of these; or null.
  function show(data, order) {
    if (data.atlas?.sheets !== source.atlas?.sheets || data.thumbnails !== source.thumbnails) {
      sheets.clear();
      single.clear();
      tileOf = order && new Uint32Array(n).fill(NO_TILE);
      order?.forEach((row, tile) => { tileOf[row] = tile; });
    }
    source = data;
    mode = data.pictures;
    choose();
  }

  // What was used last is kept longest: what is in sight never puts out what else is, for `choose`
  // leaves no more in sight than is kept.
  function loaded(store, key, template, name, most) {
    const image = store.get(key) ?? imageAt(addressOf(template, name, key), { onload: redraw });
    store.delete(key);
    store.set(key, image);
    if (store.size > most) store.delete(store.keys().next().value);
    return image.complete && image.naturalWidth ? image : null;
  }

  // No image covers another: the points between stay points. Rows come in their order, so that
  // which are drawn depends on the scale, and not on where the window is.
  function choose() {
    chosen = [];
    size = 0;
    ready = true;
    if (mode === "never" || !source.thumbnails) return;
    const [width, height] = view.size(), [left, high] = view.toMap(0, 0), [right, low] = view.toMap(width, height);
    const rows = [];
    for (let i = 0; i < n; i++) {
      const x = places[2 * i], y = places[2 * i + 1];
      const has = !tileOf || tileOf[i] !== NO_TILE;
      if (has && x > left && x < right && y > low && y < high && kept(i)) rows.push(i);
    }
    const room = Math.sqrt((FILLED * width * height) / (rows.length || 1));
    if (mode === "near" && room < LEAST && rows.length > FEW) return;
    size = Math.max(LEAST + 4, Math.min(LARGEST, room));
    const cell = (1.08 * size * (right - left)) / width, taken = new Map();
    const key = (x, y) => x * 1e6 + y;
    for (const i of rows) {
      const x = places[2 * i] / cell, y = places[2 * i + 1] / cell, cx = Math.floor(x), cy = Math.floor(y);
      let free = true;
      for (let k = 0; free && k < 9; k++) {
        const other = taken.get(key(cx - 1 + (k % 3), cy - 1 + Math.floor(k / 3)));
        free = !other || Math.abs(other[0] - x) >= 1 || Math.abs(other[1] - y) >= 1;
      }
      if (!free) continue;
      taken.set(key(cx, cy), [x, y]);
      chosen.push(i);
      if (chosen.length >= MOST) break;
    }
    cut = tileOf !== null && new Set(chosen.map(sheetOf)).size <= MOST_SHEETS;
  }
  const sheetOf = (i) => Math.floor(tileOf[i] / PER_SHEET);

  // `colourOf(row)` frames an image.
  function draw(colourOf) {
    const ratio = devicePixelRatio || 1, [width, height] = view.size();
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!ready) return;
    let drawn = 0;
    for (const i of chosen) {
      const [x, y] = view.toScreen([places[2 * i], places[2 * i + 1]]);
      if (x < -size || y < -size || x > width + size || y > height + size) continue;
      const image = cut
        ? loaded(sheets, sheetOf(i), source.atlas.sheets, "sheet", MOST_SHEETS)
        : loaded(single, i, source.thumbnails, "row", MOST);
      if (!image) continue;
      const half = size / 2;
      pen.fillStyle = colourOf(i);
      pen.fillRect(x - half - 1.5, y - half - 1.5, size + 3, size + 3);
      pen.fillStyle = "#fff";
      pen.fillRect(x - half, y - half, size, size);
      if (cut) {
        const at = tileOf[i] % PER_SHEET;
        pen.drawImage(image, (at % ACROSS) * TILE, Math.floor(at / ACROSS) * TILE, TILE, TILE, x - half, y - half, size, size);
      } else {
        const by = size / Math.max(image.naturalWidth, image.naturalHeight), w = image.naturalWidth * by, h = image.naturalHeight * by;
        pen.drawImage(image, x - w / 2, y - h / 2, w, h);
      }
      drawn++;
    }
    canvas.dataset.images = drawn; // what the tests wait for
  }

  return { show, choose, draw, size: () => (chosen.length ? size : 0) };
}
