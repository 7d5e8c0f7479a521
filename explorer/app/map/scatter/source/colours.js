// Colours of points, for light and dark pages, and the legend that explains them.

const GROUPS = [
  "#4269d0", "#ef7d22", "#3ca951", "#e0457b", "#6cc5b0", "#a463f2", "#9c6b4e", "#d9a514",
  "#38b2e8", "#b05279", "#7a8b2e", "#7c83db", "#d1605e", "#2e8b88", "#c08552", "#8f5fa8",
  "#5b9e3a", "#d47fb0", "#4f7d9c", "#b0863a",
];
const OTHER = "#8d9299";
// Viridis, Smith and van der Walt 2015, at nine places; between them in straight lines.
const STOPS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
const RAMP = Array.from({ length: 65 }, (_, i) => between(STOPS[i >> 3], STOPS[(i >> 3) + 1] ?? STOPS[8], (i & 7) / 8));

function between(a, b, t) {
  const part = (colour, at) => parseInt(colour.slice(at, at + 2), 16);
  return "#" + [1, 3, 5].map((at) => Math.round(part(a, at) * (1 - t) + part(b, at) * t).toString(16).padStart(2, "0")).join("");
}

// Streamlit hands its theme down as CSS variables.
export function themed(root) {
  const style = getComputedStyle(root);
  const text = hex(style.getPropertyValue("--st-text-color") || style.color);
  return { text, point: "#4269d0" };
}

function hex(colour) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour.trim() || "#333333";
  return pen.fillStyle.startsWith("#") ? pen.fillStyle : "#888888";
}

export const colourOf = (code, names) =>
  names[code] === null ? OTHER : GROUPS[code % GROUPS.length];

// The renderer counts from 0 to the largest code, so every name has its colour.
export function palette(colours) {
  if (!colours) return null;
  return colours.names ? colours.names.map((_, code) => colourOf(code, colours.names)) : RAMP;
}

export function legend(element, colours) {
  element.replaceChildren();
  if (!colours) return;
  const add = (tag, name, text = "") => {
    const made = Object.assign(document.createElement(tag), { className: name, textContent: text });
    element.append(made);
    return made;
  };
  add("strong", "um-title", colours.title);
  if (!colours.names) {
    add("span", "um-end", colours.ends[0]);
    add("i", "um-ramp").style.background = `linear-gradient(90deg, ${STOPS.join(",")})`;
    add("span", "um-end", colours.ends[1]);
    return;
  }
  colours.names.forEach((name, code) => {
    const item = add("span", "um-key", name ?? "others");
    item.prepend(Object.assign(document.createElement("i"), { className: "um-dot" }));
    item.firstChild.style.background = colourOf(code, colours.names);
  });
}
