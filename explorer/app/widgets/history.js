// Every view is a step of the browser's history, so that Back brings the view before. Streamlit
// replaces the address when a person changes a field, and goes several steps where a script sets
// several values; here each thing that a person does is one step.
const SAME_STEP = 1000; // ms: a field that moves on within this is still on the same step

export default function () {
  if (window.unclipHistory) return;
  window.unclipHistory = true;
  const { history } = window;
  const push = history.pushState.bind(history), replace = history.replaceState.bind(history);
  let acted = false; // a person did something since the last step
  let returning = false; // from Back or Forward until a person does something again
  let last = { names: "", time: -SAME_STEP };
  addEventListener("popstate", () => { returning = true; acted = false; }, true);
  for (const kind of ["pointerdown", "keydown", "input"])
    addEventListener(kind, () => { returning = false; acted = true; }, true);

  function step(state, title, address) {
    const to = new URL(address ?? location.href, location.href);
    const names = changed(location, to);
    if (!names) return replace(state, title, address);
    const time = performance.now();
    const same = names === last.names && time - last.time < SAME_STEP;
    const forward = acted && !returning && !same;
    last = { names, time };
    acted = false;
    return (forward ? push : replace)(state, title, address);
  }
  history.pushState = step;
  history.replaceState = step;
}

// The names of what differs between two addresses; what stands behind "#" does not count.
function changed(before, after) {
  const [a, b] = [before, after].map(({ search }) => new URLSearchParams(search));
  const names = [...new Set([...a.keys(), ...b.keys()])];
  const differing = names.filter((name) => String(a.getAll(name)) !== String(b.getAll(name)));
  return [...(before.pathname === after.pathname ? [] : ["/"]), ...differing].join("&");
}
