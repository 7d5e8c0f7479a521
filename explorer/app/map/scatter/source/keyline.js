// A line drawn by keys: the map is moved under a cross in its middle, and Space sets a corner there.

const LEAST = { lasso: 3, path: 2 }; // corners

export function createKeyline(svg, view, modeNow, said, done) {
  const shape = document.createElementNS(svg.namespaceURI, "polyline"), cross = document.createElementNS(svg.namespaceURI, "path");
  let corners = [];
  shape.classList.add("um-drawing");
  cross.classList.add("um-cross");
  svg.append(shape, cross);

  const middle = () => view.size().map((length) => length / 2);
  function moved() {
    const [x, y] = middle();
    cross.setAttribute("d", `M${x - 12} ${y}h24M${x} ${y - 12}v24`);
    const line = corners.length ? [...corners.map(view.toScreen), [x, y]] : [];
    shape.setAttribute("points", line.map((at) => at.join(",")).join(" "));
  }
  function clear() {
    corners = [];
    moved();
  }

  // Whether the key was one of a line.
  function key(name) {
    const kind = modeNow();
    if (!LEAST[kind]) return false;
    if (name === " ") {
      corners.push(view.toMap(...middle()));
      moved();
      said(`Corner ${corners.length} set; Enter ends the line, Escape drops it`);
    } else if (name === "Enter") {
      if (corners.length < LEAST[kind]) said(`A ${kind} needs ${LEAST[kind]} corners; Space sets one`);
      else {
        const drawn = corners;
        clear();
        done(kind, drawn);
      }
    } else if (name === "Escape") {
      clear();
      done(kind, []);
    } else return false;
    return true;
  }
  const destroy = () => { shape.remove(); cross.remove(); };
  return { key, moved, clear, destroy };
}
