// Run by `make frontend`. The bundle's first line has the digest of all that it was built from.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const digest = createHash("sha256");
for (const name of readdirSync(".").filter((name) => name.includes(".") && name !== "node_modules").sort())
  digest.update(name + "\0").update(readFileSync(name));

await build({
  entryPoints: ["index.js"],
  outfile: "../bundle.js",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  loader: { ".css": "text" },
  legalComments: "none",
  banner: { js: `// Licences: bundle.LICENSES.txt. Built from ${digest.digest("hex")}` },
});

const { dependencies } = JSON.parse(readFileSync("package.json"));
const licences = Object.keys(dependencies).sort().map((name) => {
  const folder = `node_modules/${name}`, about = JSON.parse(readFileSync(`${folder}/package.json`));
  if (about.version !== dependencies[name]) throw new Error(`${name} is ${about.version} here; package.json wants ${dependencies[name]}`);
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(`${folder}/${file}`, "utf8").trim() : `${about.license}, ${about.author?.name ?? about.author ?? ""}`;
  return `${name} ${about.version}\n\n${text}\n`;
});
writeFileSync("../bundle.LICENSES.txt", licences.join(`\n${"-".repeat(72)}\n\n`));
