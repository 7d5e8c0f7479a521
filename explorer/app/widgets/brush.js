// An image to paint a mask on: with the pointer, or with the arrow keys and the space bar.
// Strokes are told in parts of the image's width and height, when the pointer is lifted.
const STEP = 0.02; // of the image, that an arrow key moves

export default function ({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(name);
  const canvas = find("canvas"), ring = find("span"), ink = canvas.getContext("2d");
  canvas.setAttribute("aria-label", data.name);
  find(".brush").style.aspectRatio = `${data.width} / ${data.height}`;
  if (find("img").src !== new URL(data.image, location.origin).href) find("img").src = data.image;
  canvas.width = 512;
  canvas.height = Math.round((512 * data.height) / data.width);

  let strokes = data.strokes.map(({ size, places }) => ({ size, places: [...places] })), drawing = null;
  const at = (canvas.at ??= [0.5, 0.5]);
  const draw = () => {
    ink.clearRect(0, 0, canvas.width, canvas.height);
    ink.strokeStyle = "#ff2d6f";
    ink.lineCap = ink.lineJoin = "round";
    for (const { size, places } of strokes) {
      ink.lineWidth = size * canvas.width;
      ink.beginPath();
      for (const [x, y] of [places[0], ...places]) ink.lineTo(x * canvas.width, y * canvas.height);
      ink.stroke();
    }
  };
  const point = (place) => {
    at.splice(0, 2, ...place);
    ring.style.cssText = `left:${at[0] * 100}%;top:${at[1] * 100}%;width:${data.size * 100}%`;
  };
  const told = () => setTriggerValue("strokes", strokes);
  const placed = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      .map((value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000);
  };

  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    drawing = { size: data.size, places: [placed(event)] };
    strokes.push(drawing);
    point(drawing.places[0]);
    draw();
  };
  canvas.onpointermove = (event) => {
    const place = placed(event);
    point(place);
    const last = drawing?.places.at(-1);
    if (!last || Math.hypot(place[0] - last[0], place[1] - last[1]) < data.size / 4) return;
    drawing.places.push(place);
    draw();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    if (drawing) told();
    drawing = null;
  };
  canvas.onkeydown = (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way && event.key !== " ") return;
    event.preventDefault();
    if (way) return point(at.map((value, i) => Math.round(Math.min(1, Math.max(0, value + STEP * way[i])) * 1000) / 1000));
    strokes.push({ size: data.size, places: [[...at]] });
    draw();
    told();
  };
  point(at);
  draw();
}
