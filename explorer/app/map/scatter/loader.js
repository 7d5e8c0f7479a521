// The bundle is fetched once, by its address; this much is sent with every message.
let code;
export default function (component) {
  const { data, parentElement } = component;
  code ??= import(new URL(data.code, location.origin).href);
  let gone = false, end;
  code.then(({ default: mount }) => { if (!gone) end = mount(component); })
    .catch((error) => { parentElement.textContent = `The map cannot be shown: ${error.message}`; });
  return () => { gone = true; end?.(); };
}
