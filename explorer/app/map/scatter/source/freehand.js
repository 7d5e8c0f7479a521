// A line drawn with the pointer: the border of a lasso, or a path.

const APART = 4; // pixels between the places of a line

export function freehand(stage, svg, modeNow, done) {
  let line = null, shape = null;
  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  svg.addEventListener("pointerdown", (event) => {
    if (modeNow() === "look" || event.button !== 0) return;
    svg.setPointerCapture(event.pointerId);
    line = [at(event)];
    shape = document.createElementNS(svg.namespaceURI, modeNow() === "lasso" ? "polygon" : "polyline");
    shape.classList.add("um-drawing");
    svg.append(shape);
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => {
    if (!line) return;
    const [x, y] = at(event), [lastX, lastY] = line.at(-1);
    if (Math.hypot(x - lastX, y - lastY) < APART) return;
    line.push([x, y]);
    shape.setAttribute("points", line.map((place) => place.join(",")).join(" "));
  });
  function end(finished) {
    const drawn = line, kind = modeNow();
    shape?.remove();
    line = shape = null;
    if (finished && drawn?.length > (kind === "lasso" ? 2 : 1)) done(kind, thinned(drawn));
  }
  svg.addEventListener("pointerup", () => end(true));
  svg.addEventListener("pointercancel", () => end(false));
}

// Douglas and Peucker 1973, with a tolerance of 1.5 pixels: a short line that looks the same.
function thinned(line, tolerance = 1.5) {
  if (line.length < 3) return line;
  const [a, b] = [line[0], line.at(-1)], long = Math.hypot(b[0] - a[0], b[1] - a[1]);
  let most = 0, where = 0;
  for (let i = 1; i < line.length - 1; i++) {
    const [x, y] = [line[i][0] - a[0], line[i][1] - a[1]];
    const off = long ? Math.abs(x * (b[1] - a[1]) - y * (b[0] - a[0])) / long : Math.hypot(x, y);
    if (off > most) [most, where] = [off, i];
  }
  if (most <= tolerance) return [a, b];
  return [...thinned(line.slice(0, where + 1), tolerance).slice(0, -1), ...thinned(line.slice(where), tolerance)];
}
