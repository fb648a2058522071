// The table of cases: sorted by its headings, filtered by the controls, one marked row.
// At first worst first: a case without the number that the page is ordered by is worse than any with it.
const sorting = { key: page.order, down: true, missing: -1 };
let shownRows = rows, marked = null;

const numeric = (column) => column.kind === "number";
const sortValue = (row, column) => {
  if (column.key === "verdict") { const review = reviewOf(row); return `${review.verdict || ""}${isMoved(review) ? "m" : ""}`; }
  if (column.kind === "case") return nameOf(row);
  if (column.kind === "flags") return flagsOf(row.cells).length;
  return row.cells[column.key] ?? null;
};
const compare = (one, other) => {
  if (one === other) return 0;
  if (one === null || one === "") return sorting.missing;
  if (other === null || other === "") return -sorting.missing;
  const order = isNumber(one) && isNumber(other) ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
  return sorting.down ? -order : order;
};
const tableColumns = () => [{ key: "verdict", title: "Review", kind: "text", about: "Your verdict" }, ...page.columns];

const badge = (flag) => make("span", { class: "badge", title: page.flag_rules[flag] || "" }, inWords(flag));
const verdictWords = (review) => {
  const words = { accept: "\u2713 accepted", reject: "\u2717 rejected" }[review.verdict] || "";
  const marks = [words, isMoved(review) ? "\u21c5 moved" : "", isPainted(review) ? "\u270f mask" : "", review.comment ? "\u270e comment" : ""].filter(Boolean);
  return marks.map((mark) => make("span", { class: `mark ${review.verdict || ""}` }, mark));
};
const cellOf = (row, column) => {
  const value = row.cells[column.key];
  if (column.key === "verdict") return make("td", { class: "verdict" }, ...verdictWords(reviewOf(row)));
  if (column.kind === "case") {
    const name = make("button", { type: "button", class: "link", tabindex: "-1" }, row.cells.study || row.cells.series || "");
    return make("th", { scope: "row" }, name, row.cells.study ? make("small", {}, row.cells.series || "") : null);
  }
  if (column.kind === "flags") return make("td", { class: "flags" }, ...flagsOf(row.cells).map(badge));
  if (numeric(column)) return make("td", { class: "number" }, inDigits(value, column.digits));
  const text = make("td", { class: column.key }, value === null || value === undefined ? "" : String(value));
  if (column.key === "status") text.classList.add(`is-${value}`);
  return text;
};
const makeRow = (row) => {
  row.element = make("tr", { "data-row": row.number }, ...tableColumns().map((column) => cellOf(row, column)));
  return row.element;
};

const makeHeadings = () => {
  const cells = tableColumns().map((column) => make("th", { scope: "col", "data-key": column.key, class: numeric(column) ? "number" : null },
    make("button", { type: "button", title: column.about || null, on: { click: () => sortBy(column) } },
      column.title, column.unit ? make("small", {}, column.unit) : null)));
  document.querySelector("#table thead").append(make("tr", {}, ...cells));
};
const sortBy = (column) => {
  sorting.down = sorting.key === column.key ? !sorting.down : numeric(column) || column.kind === "flags";
  sorting.key = column.key;
  sorting.missing = 1;  // last, whichever way is up
  showRows();
  announce(`Sorted by ${column.title}, ${sorting.down ? "largest" : "smallest"} first`);
};

const wanted = (row) => {
  const value = (id) => byId(id).value, { cells } = row, review = reviewOf(row), flags = flagsOf(cells);
  const text = value("filter-text").trim().toLowerCase(), flag = value("filter-flag"), verdict = value("filter-verdict");
  if (value("filter-level") && cells.level !== value("filter-level")) return false;
  if (value("filter-status") && cells.status !== value("filter-status")) return false;
  if (flag === "*" ? !flags.length : flag === "-" ? flags.length : flag && !flags.includes(flag)) return false;
  const kinds = { open: !review.verdict, moved: isMoved(review), mask: isPainted(review), comment: Boolean(review.comment) };
  if (verdict && !(verdict in kinds ? kinds[verdict] : review.verdict === verdict)) return false;
  return !text || [...Object.values(cells), review.comment, review.reviewer].some((cell) =>
    cell !== null && cell !== undefined && String(cell).toLowerCase().includes(text));
};
const showRows = () => {
  const column = tableColumns().find((one) => one.key === sorting.key) || { key: sorting.key, kind: "number" };
  const values = new Map(rows.map((row) => [row, sortValue(row, column)]));
  shownRows = rows.filter(wanted).sort((one, other) => compare(values.get(one), values.get(other)));
  document.querySelector("#table tbody").replaceChildren(...shownRows.map((row) => row.element || makeRow(row)));
  for (const heading of document.querySelectorAll("#table thead th")) {
    if (heading.dataset.key === sorting.key) heading.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  }
  byId("shown-count").textContent = shownRows.length === rows.length ? `${rows.length} cases` : `${shownRows.length} of ${rows.length} cases`;
  byId("none-shown").hidden = shownRows.length > 0;
  markRow(shownRows.includes(marked) ? marked : shownRows[0] || null);
};

const nameButton = (row) => row?.element?.querySelector("button.link");
const markRow = (row, focus = false) => {
  if (marked?.element) { marked.element.classList.remove("marked"); nameButton(marked)?.setAttribute("tabindex", "-1"); }
  marked = row;
  if (!row?.element) return;
  row.element.classList.add("marked");
  nameButton(row)?.setAttribute("tabindex", "0");
  if (focus) nameButton(row)?.focus();
};
const neighborOf = (row, by) => shownRows[shownRows.indexOf(row) + by];

const startTable = () => {
  makeHeadings();
  const options = (id, found) => byId(id).append(...[...new Set(found)].filter(Boolean).sort().map((name) => make("option", { value: name }, inWords(name))));
  options("filter-level", rows.map((row) => row.cells.level));
  options("filter-status", rows.map((row) => row.cells.status));
  options("filter-flag", rows.flatMap((row) => flagsOf(row.cells)));
  const filters = [...document.querySelectorAll("[id^=filter-]")];
  for (const filter of filters) filter.addEventListener("input", showRows);
  byId("clear-filters").addEventListener("click", () => { for (const filter of filters) filter.value = ""; showRows(); });
  document.querySelector("#table tbody").addEventListener("click", (event) => {
    const element = event.target.closest("tr");
    if (element) openCase(rows[Number(element.dataset.row)]);
  });
  document.addEventListener("reviewed", ({ detail: row }) => {
    if (row.element) row.element.querySelector(".verdict").replaceChildren(...verdictWords(reviewOf(row)));
  });
  showRows();
};
