// The dashboard's map in a notebook: the same bundle, fed by the widget's traits, and by messages
// for what is pointed at. What is done on the map goes back to Python as the trait `event`.
const bytes = (view) => URL.createObjectURL(new Blob([view]));

function asking(model) {
  const waiting = new Map();
  model.on("msg:custom", ({ row, caption }, buffers) => {
    const url = URL.createObjectURL(new Blob([buffers[0]], { type: "image/jpeg" }));
    for (const done of waiting.get(row) ?? []) done({ url, caption });
    waiting.delete(row);
  });
  const known = new Map();
  return (row) => {
    if (!known.has(row))
      known.set(row, new Promise((done) => {
        waiting.set(row, [done]);
        model.send({ row });
      }));
    return known.get(row);
  };
}

export default {
  async render({ model, el }) {
    const code = URL.createObjectURL(new Blob([model.get("code")], { type: "text/javascript" }));
    const { default: mount } = await import(code);
    URL.revokeObjectURL(code);
    el.innerHTML = '<div class="unclip-map"></div>';
    const ask = asking(model);
    const xy = bytes(model.get("xy")), codes = bytes(model.get("codes"));
    const thumbnails = (row) => ask(row).then(({ url }) => url);
    const captions = (row) => ask(row).then(({ caption }) => caption);
    let end;
    const show = () => {
      const scene = model.get("scene"), mask = model.get("mask");
      const data = { ...scene, xy, thumbnails, captions, path: [], remembers: false };
      data.colours = scene.colours ? { ...scene.colours, codes } : null;
      data.selected = mask?.byteLength ? bytes(mask) : null;
      end = mount({
        data,
        parentElement: el,
        setTriggerValue: (_, event) => {
          model.set("event", event);
          model.save_changes();
        },
      });
    };
    model.on("change:mask", show);
    show();
    return () => end?.();
  },
};
