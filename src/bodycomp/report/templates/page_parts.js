// Parts that all scripts of the page use. They share one scope; text is never taken for markup.
const byId = (id) => document.getElementById(id);
const page = JSON.parse(byId("page-data").textContent);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [kind, act] of Object.entries(value)) element.addEventListener(kind, act);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
};
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const inDigits = (value, digits) =>
  isNumber(value) ? value.toFixed(digits).replace(/^-(?=0\.?0*$)/, "").replace("-", "\u2212") : "\u2013";
const flagsOf = (cells) => String(cells.quality_flags || "").split(";").map((flag) => flag.trim()).filter(Boolean);
const inWords = (key) => key.replaceAll("_", " ");

const announce = (text) => { byId("announce").textContent = text; };

const rows = page.rows.map((cells, number) => ({
  number, cells, key: [cells.study, cells.series, cells.level].map((part) => part || "").join("/"), element: null,
}));
const rowOf = new Map(rows.map((row) => [row.key, row]));
const nameOf = (row) => `${row.cells.study || row.cells.series} ${row.cells.level || ""}`.trim();

// The cases follow this script in the file: one may not have arrived when it is asked for.
const readCase = (row) => new Promise((resolve, reject) => {
  const take = () => {
    const block = byId(`case-${row.number}`);
    if (!block) return false;
    resolve(JSON.parse(block.textContent));
    return true;
  };
  if (take()) return;
  if (document.readyState !== "loading") { reject(new Error("the case is missing from this page")); return; }
  document.addEventListener("DOMContentLoaded", () => take() || reject(new Error("the case is missing")), { once: true });
});
