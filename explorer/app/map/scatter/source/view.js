// Where things are: the map's own units, the unit square that is drawn, and pixels of the canvas.

export function createView(plot, canvas, places, [above, below], remembers) {
  const n = places.length / 2;
  let [left, low, right, high] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < places.length; i += 2) {
    left = Math.min(left, places[i]);
    right = Math.max(right, places[i]);
    low = Math.min(low, places[i + 1]);
    high = Math.max(high, places[i + 1]);
  }
  const all = [left, low, right, high], crowd = crowdOf(places, all), beyond = crowd === all ? 0 : outsideOf(places, crowd);
  const half = Math.max(right - left, high - low) / 2 || 1;
  const middle = [(left + right) / 2, (low + high) / 2];
  const normal = { x: new Float32Array(n), y: new Float32Array(n) };
  for (let i = 0; i < n; i++) {
    normal.x[i] = (places[2 * i] - middle[0]) / half;
    normal.y[i] = (places[2 * i + 1] - middle[1]) / half;
  }

  const size = () => [canvas.clientWidth || 1, canvas.clientHeight || 1];
  const toNormal = ([x, y]) => [(x - middle[0]) / half, (y - middle[1]) / half];
  // The camera scales by m[0] and then shifts by m[12] and m[13]; it never turns.
  function toScreen(place) {
    const [x, y] = toNormal(place), m = plot.get("camera").view, [width, height] = size();
    return [
      width / 2 + ((m[0] * x + m[12]) * height) / 2,
      height / 2 - ((m[5] * y + m[13]) * height) / 2,
    ];
  }
  function toMap(sx, sy) {
    const m = plot.get("camera").view, [width, height] = size();
    const x = (((sx - width / 2) * 2) / height - m[12]) / m[0];
    const y = ((-(sy - height / 2) * 2) / height - m[13]) / m[5];
    return [middle[0] + x * half, middle[1] + y * half];
  }

  // The point nearest to a place on the screen, -1 if none is so near. Pixels; it scans all points,
  // which takes 1 ms for 10⁵, and so answers for this very place, hovered over before or not.
  function nearest(sx, sy, reach) {
    const [mx, my] = toNormal(toMap(sx, sy)), pixel = 2 / size()[1] / plot.get("camera").view[0];
    let best = -1, least = (reach * pixel) ** 2;
    for (let i = 0; i < n; i++) {
      const far = (normal.x[i] - mx) ** 2 + (normal.y[i] - my) ** 2;
      if (far <= least) [best, least] = [i, far];
    }
    return best;
  }

  function set(scale, x, y) {
    const view = new Float32Array([scale, 0, 0, 0, 0, scale, 0, 0, 0, 0, 1, 0, x, y, 0, 1]);
    plot.set({ cameraView: view });
  }
  // What is looked at, and back to it.
  const camera = () => ({ matrix: plot.get("camera").view.slice(), fitted });
  function restore(camera) {
    plot.set({ cameraView: camera.matrix });
    fitted = camera.fitted;
  }
  let fitted = null; // the box that is shown whole, if nothing was moved since
  function scaleOf([x0, y0, x1, y1]) {
    const [width, height] = size(), wide = (x1 - x0) / 2 / half || 1, tall = (y1 - y0) / 2 / half || 1;
    // What floats over the map's upper and lower end takes these parts of its height.
    return 0.94 * Math.min(width / height / wide, (1 - above - below) / tall);
  }
  function fit(box) {
    const scale = scaleOf(box), [x, y] = toNormal([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]);
    set(scale, -scale * x, -scale * y + below - above);
    fitted = box;
  }
  // A window that is narrow already gains nothing where the crowd is less tall.
  const first = () => (scaleOf(crowd) > GAIN * scaleOf(all) ? crowd : all);
  // How many points lie far from the others, while these alone are fitted.
  const far = () => (fitted === crowd ? beyond : 0);
  // Where the stage changes size, what was shown whole is fitted again; else the upper left stays.
  let before = null;
  function resized() {
    const [width, height] = size(), m = plot.get("camera").view;
    if (fitted) fit(fitted);
    else if (before) {
      const by = before[1] / height;
      set(m[0] * by, (m[12] * before[1] - width + before[0]) / height, 1 - (1 - m[13]) * by);
    }
    before = [width, height];
  }
  // Shift so that the ring around a place is seen whole.
  function reach(place) {
    const [width, height] = size(), [x, y] = toScreen(place), edge = 12;
    const dx = x < edge ? edge - x : Math.min(0, width - edge - x);
    const dy = y < edge ? edge - y : Math.min(0, height - edge - y);
    if (dx || dy) pan(dx, dy);
  }
  // The part that is looked at stands behind the "#" of the address, so that a link brings it back.
  function start() {
    before = size();
    plot.get("camera").setScaleBounds([0.2, most]);
    const found = remembers && /view=([-\d.e]+),([-\d.e]+),([-\d.e]+)/.exec(location.hash);
    const [x, y, scale] = found ? found.slice(1).map(Number) : [];
    if (scale > 0 && Number.isFinite(x + y)) {
      const at = toNormal([x, y]);
      set(scale, -at[0] * scale, -at[1] * scale);
    } else fit(first());
  }
  let leaving = null;
  const stand = (address) => {
    try { history.replaceState(history.state, "", address); } catch { /* some browsers keep the address of a file */ }
  };
  function remember() {
    if (!remembers) return;
    clearTimeout(leaving);
    leaving = setTimeout(() => {
      if (fitted && fitted === first()) {
        if (location.hash.startsWith("#view=")) stand(location.pathname + location.search);
        return;
      }
      const [width, height] = size(), [x, y] = toMap(width / 2, height / 2);
      const here = [x, y, plot.get("camera").view[0]].map((v) => v.toPrecision(5)).join(",");
      stand(`#view=${here}`);
    }, 400);
  }

  function pan(dx, dy) {
    fitted = null;
    const m = plot.get("camera").view, [, height] = size();
    set(m[0], m[12] + (2 * dx) / height, m[13] - (2 * dy) / height);
  }
  const most = 20 * Math.sqrt(n + 25); // no use in going nearer
  function zoom(factor, sx = size()[0] / 2, sy = size()[1] / 2) {
    fitted = null;
    const m = plot.get("camera").view, [width, height] = size();
    const scale = Math.max(0.2, Math.min(m[0] * factor, most)), by = scale / m[0];
    const cx = ((sx - width / 2) * 2) / height, cy = (-(sy - height / 2) * 2) / height;
    set(scale, cx + (m[12] - cx) * by, cy + (m[13] - cy) * by);
  }
  const STEPS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  function key({ key, ctrlKey, metaKey, altKey }) {
    if (ctrlKey || metaKey || altKey) return false;
    if (STEPS[key]) pan(STEPS[key][0] * 60, STEPS[key][1] * 60);
    else if (key === "+" || key === "=") zoom(1.4);
    else if (key === "-") zoom(1 / 1.4);
    else if (key === "0") fit(all);
    else return false;
    return true;
  }

  // Pixels of the screen that a length of the map takes.
  const pixels = (length) => ((length / half) * plot.get("camera").view[0] * size()[1]) / 2;
  const touches = new Map(), ending = new AbortController();
  const moved = () => { fitted = null; };
  canvas.addEventListener("wheel", moved, { signal: ending.signal, passive: true });
  const listen = (name, act) => canvas.addEventListener(name, act, { signal: ending.signal });
  listen("pointerdown", (event) => {
    if (event.pointerType === "touch") touches.set(event.pointerId, [event.offsetX, event.offsetY]);
  });
  listen("pointermove", (event) => {
    const before = touches.get(event.pointerId), now = [event.offsetX, event.offsetY];
    if (event.buttons) moved();
    if (!before) return;
    const other = [...touches].find(([id]) => id !== event.pointerId)?.[1];
    if (other) {
      const far = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
      zoom(far(now) / far(before), ...other);
    } else pan(now[0] - before[0], now[1] - before[1]);
    touches.set(event.pointerId, now);
  });
  for (const name of ["pointerup", "pointercancel"]) listen(name, ({ pointerId }) => touches.delete(pointerId));

  const destroy = () => { clearTimeout(leaving); ending.abort(); };
  return { normal, box: all, size, pixels, resized, reach, toNormal, toScreen, toMap, nearest, camera, restore, far, all: () => fit(all), start, remember, zoom, key, destroy };
}

const FAR_SHARE = 0.02; // of the points at each end of an axis, which the first view may leave out
const GAIN = 1.15; // how much larger the others must be drawn for it
const FAR_GAP = 0.15; // empty part of the others' extent, beyond which points are far

// The box of all points but few beyond an empty gap, which would leave much of a view empty; `all` if there are none.
function crowdOf(places, all) {
  const n = places.length / 2, few = Math.floor(FAR_SHARE * n), box = [...all];
  for (const axis of [0, 1]) {
    const at = Float32Array.from({ length: n }, (_, i) => places[2 * i + axis]).sort();
    const gap = FAR_GAP * (at[n - 1 - few] - at[few]);
    for (let i = 1; i <= few; i++) {
      if (at[i] - at[i - 1] > gap) box[axis] = at[i];
      if (at[n - i] - at[n - 1 - i] > gap) box[axis + 2] = at[n - 1 - i];
    }
  }
  return box.every((end, i) => end === all[i]) ? all : box;
}

function outsideOf(places, [left, low, right, high]) {
  let count = 0;
  for (let i = 0; i < places.length; i += 2)
    count += places[i] < left || places[i] > right || places[i + 1] < low || places[i + 1] > high;
  return count;
}
