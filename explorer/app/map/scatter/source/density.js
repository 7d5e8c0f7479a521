// How crowded the map is, in bands under the points: a histogram, smoothed, then cut at levels.

const SIDE = 192; // cells of the longer side
const LEVELS = [0.04, 0.12, 0.28, 0.55]; // parts of the density that 1 % of the crowded cells exceed
const SMOOTHING = 3; // passes of a box of 5 cells: nearly a Gaussian of 2.5 cells

export function densityImage(places, box, colour) {
  const n = places.length / 2, [left, low, right, high] = box;
  const wide = right - left || 1, tall = high - low || 1, side = Math.max(wide, tall) / SIDE;
  const margin = 8, w = Math.ceil(wide / side) + 2 * margin, h = Math.ceil(tall / side) + 2 * margin;
  let cells = new Float32Array(w * h);
  for (let i = 0; i < n; i++) {
    const x = Math.floor((places[2 * i] - left) / side) + margin, y = Math.floor((high - places[2 * i + 1]) / side) + margin;
    cells[y * w + x]++;
  }
  for (let pass = 0; pass < SMOOTHING; pass++) cells = blurred(blurred(cells, w, h, 1, w), h, w, w, 1);
  const filled = cells.filter((v) => v > 1e-6).sort();
  const top = filled[Math.floor(filled.length * 0.99)] || 1;
  const canvas = Object.assign(document.createElement("canvas"), { width: w, height: h });
  const pen = canvas.getContext("2d"), image = pen.createImageData(w, h);
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  cells.forEach((v, i) => {
    const band = LEVELS.filter((level) => v >= level * top).length;
    image.data.set([r, g, b, 14 * band], 4 * i);
  });
  pen.putImageData(image, 0, 0);
  return { canvas, box: [left - margin * side, high - (h - margin) * side, left + (w - margin) * side, high + margin * side] };
}

// The mean of five cells along one direction; `step` to the next cell, `jump` to the next line.
function blurred(cells, long, lines, step, jump) {
  const out = new Float32Array(cells.length);
  for (let line = 0; line < lines; line++)
    for (let k = 0; k < long; k++) {
      let sum = 0;
      for (let d = Math.max(0, k - 2); d <= Math.min(long - 1, k + 2); d++) sum += cells[line * jump + d * step];
      out[line * jump + k * step] = sum / 5;
    }
  return out;
}
