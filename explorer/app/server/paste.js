// An image pasted anywhere on the page goes into the last field for uploads, and so the same way.
export default function () {
  const paste = (event) => {
    const fields = document.querySelectorAll("input[type=file]");
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (event.defaultPrevented || !files.length || !fields.length) return;
    event.preventDefault();
    const field = fields[fields.length - 1], carried = new DataTransfer();
    for (const file of field.multiple ? files : files.slice(0, 1)) carried.items.add(file);
    field.files = carried.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("paste", paste);
  return () => document.removeEventListener("paste", paste);
}
