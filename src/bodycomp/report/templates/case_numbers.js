// Measurements, cut-offs and flags of one case; what is missing says why.
const numberCell = (value, digits, reason) =>
  make("td", { class: "number" }, isNumber(value) ? inDigits(value, digits) : reason ? make("abbr", { title: reason }, "\u2013") : "\u2013");
// While a mask is corrected the number of the mask before stands below.
const changedCell = (value, before, digits) => make("td", { class: "number", title: isNumber(value) ? inDigits(value, 4) : null }, inDigits(value, digits), isNumber(before) ? make("small", {}, `was ${inDigits(before, digits)}`) : null);

const tissueTable = ({ row, data }, all, changed = {}) => {
  const shown = page.tissues.filter((tissue) => (data.tissues || []).includes(tissue.key));
  if (!shown.some((tissue) => isNumber(all[`${tissue.key}_area_cm2`]))) return null;
  const fields = page.tissue_fields.filter((field) => shown.some((tissue) => isNumber(all[`${tissue.key}_${field.key}`])));
  const heads = fields.map((field) => make("th", { scope: "col", class: "number" }, field.title, field.unit ? make("small", {}, field.unit) : null));
  const lines = shown.map((tissue) => {
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = tissue.color;
    return make("tr", {}, make("th", { scope: "row" }, swatch, tissue.title),
      ...fields.map(({ key, digits }) => {
        const name = `${tissue.key}_${key}`;
        return name in changed ? changedCell(changed[name], all[name], digits) : numberCell(all[name], digits);
      }));
  });
  return make("div", { class: "wide-table", tabindex: "0", role: "region", "aria-label": `Tissues at ${row.cells.level}` },
    make("table", { class: "numbers" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, `At ${row.cells.level}`), ...heads)), make("tbody", {}, ...lines)));
};
const digitsFor = (value) => (!isNumber(value) ? 0 : Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 1 : 2);
const derivedList = ({ data }, all) => {
  const lines = page.quantities.filter((kind) => kind.key in all).map((kind) => {
    const value = all[kind.key], reason = (data.reasons || {})[kind.key];
    const shown = isNumber(value) ? `${inDigits(value, digitsFor(value))} ${kind.unit}`.trim() : `\u2013 ${reason || ""}`.trim();
    return make("div", { class: isNumber(value) ? null : "missing" }, make("dt", { title: kind.about }, kind.title), make("dd", {}, shown));
  });
  return lines.length ? make("details", { open: true }, make("summary", {}, "Derived quantities"), make("dl", { class: "fact-list" }, ...lines)) : null;
};
const cutOffList = ({ data }, all) => {
  const lines = page.cut_offs.filter((one) => one.key in all).map((one) => {
    const met = all[one.key], reason = (data.reasons || {})[one.key];
    return make("div", { class: met ? null : "missing" }, make("dt", { title: one.about }, one.title), make("dd", {}, met || `\u2013 ${reason || ""}`.trim()));
  });
  return lines.length ? make("details", {}, make("summary", {}, "Published cut-offs, no diagnosis"), make("dl", { class: "fact-list" }, ...lines)) : null;
};
const scanList = (all) => {
  const names = ["source", "slices", "slice_spacing_mm", "slice_thickness_mm", "pixel_spacing_mm", "manufacturer", "scanner_model", "kvp", "kernel",
    "exposure_mas", "contrast_agent", "height_m", "weight_kg", "sex", "age_years", "crossings", "offset_mm", "members_spread_mm", "slices_measured", "notes"];
  const lines = names.filter((name) => all[name] !== null && all[name] !== undefined && all[name] !== "")
    .map((name) => make("div", {}, make("dt", {}, inWords(name)), make("dd", {}, isNumber(all[name]) ? String(Number(all[name].toFixed(3))) : String(all[name]))));
  return lines.length ? make("details", {}, make("summary", {}, "Scan and analysis"), make("dl", { class: "fact-list" }, ...lines)) : null;
};
// Columns of the table that belong to none of the lists above, as those of an evaluation.
const ownList = (row) => {
  const known = new Set(["verdict", "case", "level", "status", "review_priority", "quality_flags", "skeletal_muscle_index_cm2_m2"]);
  const lines = page.columns.filter((column) => column.kind === "number" && isNumber(row.cells[column.key]) && !known.has(column.key)
    && !/_(area_cm2|mean_hu)$/.test(column.key))
    .map((column) => make("div", {}, make("dt", { title: column.about }, column.title), make("dd", {}, `${inDigits(row.cells[column.key], column.digits)} ${column.unit}`.trim())));
  return lines.length ? make("dl", { class: "fact-list" }, ...lines) : null;
};
// A column, or the beginning of several, as people say it.
const columnWords = (name) => {
  const known = [...page.quantities, ...page.cut_offs].find((one) => one.key === name);
  if (known) return known.title.toLowerCase().replace(/\((\w)/, (start) => start.toUpperCase());
  const tissue = page.tissues.find((one) => name.startsWith(`${one.key}_`));
  return (tissue ? `${tissue.title.toLowerCase()} ${inWords(name.slice(tissue.key.length + 1))}` : inWords(name)).trim()
    .replace(/\bhu\b/g, "HU").replace(/\b(sd|iqr)\b/g, (word) => word.toUpperCase()).replace(" cm2", "");
};
const showNumbers = (shown) => {
  const { row, data } = shown, all = { ...data.cells, ...row.cells };
  const flags = (data.flags || []).map((flag) => make("li", {}, make("span", { class: "badge" }, inWords(flag.key)), ` ${flag.message}.`,
    flag.affects.length ? make("small", {}, `Touches ${flag.affects.map(columnWords).join(", ")}.`) : null,
    page.flag_rules[flag.key] ? make("small", {}, `Raised by: ${page.flag_rules[flag.key]}${isNumber(flag.limit) ? ` (limit ${flag.limit})` : ""}.`) : null));
  const known = (data.flags || []).map((flag) => flag.key);
  for (const flag of flagsOf(all).filter((key) => !known.includes(key))) flags.push(make("li", {}, badge(flag), ` ${page.flag_rules[flag] || ""}`));
  const status = row.cells.status && row.cells.status !== "found" ? make("p", { class: "caution" }, `${row.cells.level} ${row.cells.status}: ${row.cells.reason || "no reason is given"}.`) : null;
  byId("flags").replaceChildren(flags.length ? make("ul", { class: "flag-list", "aria-label": "Quality flags" }, ...flags)
    : make("p", { class: "quiet" }, "No quality flag."));
  byId("tissues").replaceChildren(...[status, tissueTable(shown, all)].filter(Boolean));
  byId("numbers").replaceChildren(...[ownList(row), derivedList(shown, all), referenceList(shown), cutOffList(shown, all), scanList(all)].filter(Boolean));
  showPaintedNumbers(shown);
};
// What follows from a mask, flags included, is known again once the correction has been applied.
const showPaintedNumbers = (shown) => {
  const all = { ...shown.data.cells, ...shown.row.cells }, isChanged = hasPainting(shown);
  for (const id of ["flags", "numbers"]) byId(id).hidden = isChanged;
  if (!isChanged && !byId("tissues").querySelector(".painted")) return;
  const cells = isChanged ? paintedCells(shown, all) : {}, isLeftOut = page.tissues.some(({ key }) => cells[`${key}_area_cm2`] && !isNumber(cells[`${key}_mean_hu`]));
  const words = `As painted. Indices, flags and comparisons follow once bodycomp review apply has measured this mask on the scan${isLeftOut ? `, and so does the attenuation of tissues that were painted where the scan is below ${inDigits(lowest, 0)} or above ${highest} HU` : ""}.`;
  byId("tissues").replaceChildren(...[tissueTable(shown, all, cells), isChanged ? make("p", { class: "quiet painted" }, words) : null].filter(Boolean));
};
