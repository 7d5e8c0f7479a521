// The page of a map: gives the dashboard's component what this file holds, and adds a search and
// choices. It asks no network, and every text reaches the page through textContent, because names
// and captions can be hostile.

const mount = globalThis.unclipMap; // the component stands before this script
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const n = data.labels.length, ROW = 64, ACROSS = 8; // pixels of a tile, tiles a row
const raw = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const address = (bytes) => URL.createObjectURL(new Blob([bytes]));

// ---- what the component asks for ----------------------------------------------------------------

const xy = raw(data.xy), places = new Float32Array(xy.buffer);
const order = raw(data.order), tiles = new Map([...new Uint32Array(order.buffer)].map((row, tile) => [row, tile]));
const columns = new Map(data.columns.map((column) => [column.name, column]));
const filled = (row) => data.columns.filter(({ values }) => values[row] !== null);
const described = (row) => [data.labels[row], ...filled(row).map(({ name, values }) => `${name}: ${values[row]}`)].join("\n");

const sheets = new Map();
function sheet(number) {
  if (!sheets.has(number)) {
    const image = Object.assign(new Image(), { src: data.sheets[number] });
    sheets.set(number, image.decode().then(() => image));
  }
  return sheets.get(number);
}

function thumbnail(row) {
  const tile = tiles.get(row), at = tile % ACROSS ** 2;
  if (tile === undefined) return null;
  return sheet(Math.floor(tile / ACROSS ** 2)).then((image) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: ROW, height: ROW });
    canvas.getContext("2d").drawImage(image, (at % ACROSS) * ROW, Math.floor(at / ACROSS) * ROW, ROW, ROW, 0, 0, ROW, ROW);
    return canvas.toDataURL();
  });
}

const codes = new Map(); // addresses of the codes of a colour, made when it is chosen
function colours(choice) {
  if (!choice.title) return null;
  if (!codes.has(choice.name)) {
    const values = () => new Uint8Array(Float64Array.from(columns.get(choice.name).values, (v) => v ?? NaN).buffer);
    codes.set(choice.name, address(choice.codes === null ? values() : raw(choice.codes)));
  }
  return { ...choice, codes: codes.get(choice.name) };
}

// ---- what is looked at ----------------------------------------------------------------------------

const first = Math.max(0, data.colours.findIndex(({ name }) => name === data.colour));
const addresses = { xy: address(xy), order: address(order) };
const state = { colour: first, pinned: -1, found: null, selected: null };

function show() {
  const labels = $("labels").checked ? data.marks : [];
  const { pinned } = state, place = pinned < 0 ? [] : [{ kind: "place", text: "", x: places[2 * pinned], y: places[2 * pinned + 1] }];
  const scene = {
    name: data.title, xy: addresses.xy, atlas: { sheets: (number) => data.sheets[number], order: addresses.order },
    marks: [...labels, ...place], path: [], lasso: [], thumbnails: thumbnail, captions: described,
    colours: colours(data.colours[state.colour]), selected: state.selected, pinned, height: 0, pictures: $("images").value,
    density: $("density").checked, remembers: true, avoid: "#bar", tools: ["look"],
  };
  $("map").classList.toggle("told", columns.has(data.colours[state.colour].name)); // the card says it already
  mount({ data: scene, parentElement: $("map"), setTriggerValue: (_, event) => chosen(event) });
}

function chosen({ row, keys, places: [[x, y]] }) {
  pin(row ?? (keys ? nearest(x, y) : -1));
}

function pin(row) {
  state.pinned = row;
  $("spoken").textContent = row < 0 ? "" : described(row);
  show();
}

function nearest(x, y) {
  let best = -1, least = Infinity;
  for (let i = 0; i < n; i++) {
    const far = (places[2 * i] - x) ** 2 + (places[2 * i + 1] - y) ** 2;
    if (far < least && (!state.found || state.found[i])) [best, least] = [i, far];
  }
  return best;
}

// ---- finding --------------------------------------------------------------------------------------

let texts = null; // made at the first search
function text(row) {
  texts ??= data.labels.map((label, i) =>
    [label, ...filled(i).map(({ values }) => values[i])].join("\n").toLowerCase());
  return texts[row];
}

function find() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  if (state.selected) URL.revokeObjectURL(state.selected);
  state.found = words.length ? Uint8Array.from(data.labels, (_, row) => words.every((word) => text(row).includes(word))) : null;
  state.selected = state.found && address(state.found);
  state.pinned = -1;
  told();
  show();
}

function told() {
  const all = n.toLocaleString("en") + (n === 1 ? " image" : " images");
  const count = state.found?.reduce((sum, one) => sum + one, 0);
  $("state").textContent = state.found ? `${count.toLocaleString("en")} of ${all}` : all;
}

let waiting = null;
$("find").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(find, n > 20000 ? 250 : 60);
});
$("find").addEventListener("keydown", ({ key }) => { // the next that matches
  if (key !== "Enter") return;
  clearTimeout(waiting);
  find();
  for (let step = 1; step <= n; step++) {
    const row = (last + step) % n;
    if (state.found && !state.found[row]) continue;
    last = row;
    return pin(row);
  }
});
let last = -1;

// ---- start ----------------------------------------------------------------------------------------

$("title").textContent = data.title;
$("note").textContent = data.note;
$("warning").textContent = data.warning;
data.colours.forEach(({ name }, k) => $("colour").append(Object.assign(document.createElement("option"), { textContent: name, value: k })));
$("colour").value = first;
$("colour").addEventListener("change", () => { state.colour = Number($("colour").value); show(); });
$("named").hidden = !data.marks.length;
$("pictured").hidden = !data.sheets.length;
for (const id of ["labels", "density", "images"]) $(id).addEventListener("change", show);
addEventListener("keydown", ({ key }) => { if (key === "Escape") pin(-1); });
told();
show();
