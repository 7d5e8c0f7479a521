// Where an image is: an address with "{row}" for its number; in a notebook, which has no server,
// a function that promises one.
export const addressOf = (template, name, i) =>
  typeof template === "function" ? template(i) : template.replace(`{${name}}`, i);

export function imageAt(address, properties = {}) {
  const image = Object.assign(new Image(), properties);
  if (typeof address === "string") image.src = address;
  else address.then((found) => { image.src = found; }, () => {});
  return image;
}

export async function textAt(template, i) {
  if (typeof template === "function") return template(i);
  const answer = await fetch(addressOf(template, "row", i));
  return answer.ok ? answer.text() : "";
}
