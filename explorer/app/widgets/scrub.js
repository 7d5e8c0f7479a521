// Images to slide through. The browser holds them all, so dragging asks nobody. Where they are
// rough, the page is told where the slider was let go, and comes back with the exact image.
export default function ({ data, parentElement, setTriggerValue }) {
  const find = (name) => parentElement.querySelector(name);
  const root = find(".scrub"), range = find("input"), image = find("img"), said = find("output");
  root.kept = data.images.map((address) => Object.assign(new Image(), { src: address }));
  find("label").textContent = data.name;
  if (root.at !== data.at) range.value = root.at = data.at;

  const show = () => {
    const t = range.valueAsNumber, last = data.images.length - 1;
    image.src = t === data.at && data.exact ? data.exact : data.images[Math.round(t * last)];
    image.alt = said.textContent = `${Math.round(100 * t)} %`;
    range.setAttribute("aria-valuetext", said.textContent);
  };
  range.oninput = show;
  range.onchange = () => { if (data.exact) setTriggerValue("at", range.valueAsNumber); };
  show();
}
