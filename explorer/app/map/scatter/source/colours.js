// Colours of points, for light and dark pages, and the legend that explains and filters them.

const GROUPS = [
  "#4269d0", "#ef7d22", "#3ca951", "#e0457b", "#6cc5b0", "#a463f2", "#9c6b4e", "#d9a514",
  "#38b2e8", "#b05279", "#7a8b2e", "#7c83db", "#d1605e", "#2e8b88", "#c08552", "#8f5fa8",
  "#5b9e3a", "#d47fb0", "#4f7d9c", "#b0863a",
];
const OTHER = "#8d9299";
const BARS = 32; // of the histogram
// Viridis, Smith and van der Walt 2015, at nine places; between them in straight lines.
const STOPS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
// The last colours can hardly be told from a light page, the first ones not from a dark one.
const RAMP = rampOf(0, 4.7);
const DARK_RAMP = rampOf(3, 8);

function rampOf(low, high) {
  return Array.from({ length: 65 }, (_, i) => {
    const at = low + (i / 64) * (high - low), k = Math.min(Math.floor(at), STOPS.length - 2);
    return between(STOPS[k], STOPS[k + 1], at - k);
  });
}

function between(a, b, t) {
  const part = (colour, at) => parseInt(colour.slice(at, at + 2), 16);
  return "#" + [1, 3, 5].map((at) => Math.round(part(a, at) * (1 - t) + part(b, at) * t).toString(16).padStart(2, "0")).join("");
}

// Streamlit hands its theme down as CSS variables.
export function themed(root) {
  const style = getComputedStyle(root);
  const text = hex(style.getPropertyValue("--st-text-color") || style.color);
  const dark = parseInt(text.slice(1, 3), 16) > 128;
  return { text, dark, point: "#4269d0", grey: dark ? "#4c5462" : "#b9bec7" };
}

function hex(colour) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour.trim() || "#333333";
  return pen.fillStyle.startsWith("#") ? pen.fillStyle : "#888888";
}

const colourOf = (code, names) => (names[code] === null ? OTHER : GROUPS[code % GROUPS.length]);

// Colours by number, grey first: what is not selected, not picked in the legend, or has no value.
export function palette(colours, look) {
  if (!colours) return [look.grey, look.point];
  return [look.grey, ...(colours.names ? colours.names.map((_, code) => colourOf(code, colours.names)) : look.dark ? DARK_RAMP : RAMP)];
}

// Where a value lies on the scale of the colours, 0 to 1; those beyond lie at its ends.
function level({ scale: [low, high] }, value) {
  return Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
}

// The number of each point's colour. `picked`: a set of codes, or [low, high] of levels; or null.
export function codesOf(n, colours, values, selected, picked) {
  const codes = new Uint8Array(n);
  for (let i = 0; i < n; i++) {
    if (selected && !selected[i]) continue;
    if (!colours) codes[i] = 1;
    else if (colours.names) codes[i] = !picked || picked.has(values[i]) ? values[i] + 1 : 0;
    else if (!Number.isNaN(values[i])) {
      const at = level(colours, values[i]);
      if (!picked || (at >= picked[0] && at <= picked[1])) codes[i] = 1 + Math.round(at * 64);
    }
  }
  return codes;
}

// `shown`: the palette. `pick(null | Set | [low, high])` is called with what the legend is clicked or brushed to.
export function legend(element, colours, shown, values, picked, pick) {
  element.replaceChildren();
  element.hidden = !colours;
  if (!colours) return;
  const add = (tag, name, text = "", to = element) => {
    const made = Object.assign(document.createElement(tag), { className: name, textContent: text });
    to.append(made);
    return made;
  };
  add("strong", "um-title", colours.title);
  if (!colours.names) return histogram(add, colours, shown, values, picked, pick);
  const counts = new Uint32Array(colours.names.length);
  for (const code of values) counts[code]++;
  colours.names.forEach((name, code) => {
    const item = add("button", "um-key");
    item.title = "Show only these; click again for all";
    item.setAttribute("aria-pressed", picked?.has(code) ?? false);
    if (picked && !picked.has(code)) item.classList.add("um-off");
    add("i", "um-dot", "", item).style.background = shown[code + 1];
    add("span", "um-name", name ?? "others", item);
    add("span", "um-count", counts[code].toLocaleString("en"), item);
    item.onclick = () => {
      const next = new Set(picked ?? []);
      if (!next.delete(code)) next.add(code);
      pick(next.size ? next : null);
    };
  });
}

function histogram(add, colours, shown, values, picked, pick) {
  const counts = new Uint32Array(BARS);
  for (const v of values) if (!Number.isNaN(v)) counts[Math.min(BARS - 1, Math.floor(level(colours, v) * BARS))]++;
  const box = add("div", "um-bars"), top = Math.sqrt(Math.max(...counts, 1));
  box.title = "Drag to show only a part; click for all";
  counts.forEach((count, i) => {
    const bar = add("i", "", "", box);
    bar.style.height = `${count ? Math.max(6, (100 * Math.sqrt(count)) / top) : 0}%`;
    bar.style.background = shown[1 + Math.round(((i + 0.5) / BARS) * 64)];
    const middle = (i + 0.5) / BARS;
    if (picked && (middle < picked[0] || middle > picked[1])) bar.classList.add("um-off");
  });
  let from = null;
  const at = (event) => Math.max(0, Math.min(1, (event.clientX - box.getBoundingClientRect().left) / box.clientWidth));
  box.onpointerdown = (event) => { from = at(event); box.setPointerCapture(event.pointerId); };
  box.onpointerup = (event) => {
    const ends = [from, at(event)].sort((a, b) => a - b);
    pick(ends[1] - ends[0] < 0.02 ? null : ends);
  };
  const ends = add("div", "um-ends");
  add("span", "", colours.ends[0], ends);
  add("span", "", colours.ends[1], ends);
}

// What the legend's colour says of one point, in words.
export function told(colours, values, row) {
  if (!colours) return "";
  if (colours.names) return `${colours.title}: ${colours.names[values[row]] ?? "others"}`;
  const value = values[row];
  return Number.isNaN(value) ? "" : `${colours.title}: ${colours.dates ? dateOf(value) : numberOf(value)}`;
}

const dateOf = (days) => new Date(days * 86400000).toISOString().slice(0, 10);
// Seven digits, which is what 32 bits hold, but two decimals at least; and no zeros that say nothing.
const numberOf = (value) => String(Number(value.toPrecision(Math.max(7, Math.min(17, Math.ceil(Math.log10(Math.abs(value) || 1)) + 2)))));
