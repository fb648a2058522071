// The review as a table by RFC 4180, as `bodycomp review apply` reads it, and back.
const reviewColumns = ["study", "series", "level", "verdict", "comment", "moved_to_slice", "reviewer",
  "reviewed_at", "slice_index", "models"], laterColumns = ["masks", "masks_from"];  // which earlier exports lack
const formula = /^[=+\-@\t\r]/;  // beginnings that spreadsheets calculate
const guarded = (text) => (formula.test(text) ? `'${text}` : text);
const unguarded = (text) => (/^'[=+\-@\t\r]/.test(text) ? text.slice(1) : text);
const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
const modelsOf = (cells) => [cells.slice_selection_model, cells.segmentation_model].filter(Boolean).join("+");
const whole = (value) => (isNumber(value) ? String(value) : "");

// Slice and changed pixels of each painted slice; the digest of the file with the masks that were shown.
const masksOf = ({ cells }, { painted }) => [Object.entries(painted?.slices || {}).map(([index, runs]) => `${index}:${runs}`).join(";"), painted ? painted.from : cells.labels];
const paintedOf = ({ masks, masks_from: from }) => (masks && from ? { from, slices: Object.fromEntries(masks.split(";").map((one) => one.split(":"))) } : null);

const reviewTable = () => {
  const lines = rows.filter((row) => row.key in reviews).map((row) => {
    const { cells } = row, review = reviewOf(row);
    return [cells.study, cells.series, cells.level, review.verdict || "", guarded(review.comment || ""), whole(review.moved),
      guarded(review.reviewer || byId("reviewer").value.trim()), review.at, whole(cells.slice_index), modelsOf(cells), ...masksOf(row, review)];
  });
  return [[...reviewColumns, ...laterColumns], ...lines].map((line) => line.map((cell) => quoted(String(cell ?? ""))).join(",")).join("\r\n") + "\r\n";
};

const exportReview = () => {
  const count = rows.filter((row) => row.key in reviews).length;
  if (!byId("reviewer").value.trim() && count) announce("Exported without a reviewer's name; give one with --by.");
  const link = make("a", { href: URL.createObjectURL(new Blob([reviewTable()], { type: "text/csv" })), download: "review.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  announce(`Exported ${count} reviewed cases as review.csv`);
};

const parseTable = (text) => {
  const lines = [], length = text.length;
  let line = [], cell = "", inside = false;
  const endLine = () => { line.push(cell); if (line.length > 1 || line[0]) lines.push(line); line = []; cell = ""; };
  for (let at = text.startsWith("\ufeff") ? 1 : 0; at < length; at += 1) {
    const letter = text[at];
    if (inside) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') { cell += '"'; at += 1; } else inside = false;
    } else if (letter === '"') inside = true;
    else if (letter === ",") { line.push(cell); cell = ""; }
    else if (letter === "\n") endLine();
    else if (letter !== "\r") cell += letter;
  }
  if (cell || line.length) endLine();
  return lines;
};

const importReview = (text) => {
  const [header = [], ...lines] = parseTable(text);
  if (reviewColumns.some((name) => !header.includes(name))) {
    announceImport("This file is no review: it lacks columns that an exported review has.");
    return;
  }
  const taken = [];
  let strangers = 0;
  for (const line of lines) {
    const cells = Object.fromEntries(header.map((name, at) => [name, line[at] || ""]));
    const row = rowOf.get([cells.study, cells.series, cells.level].join("/"));
    if (!row || cells.models !== modelsOf(row.cells)) { strangers += 1; continue; }
    reviews[row.key] = {
      verdict: ["accept", "reject"].includes(cells.verdict) ? cells.verdict : "", comment: unguarded(cells.comment),
      moved: /^\d+$/.test(cells.moved_to_slice) ? Number(cells.moved_to_slice) : null,
      reviewer: unguarded(cells.reviewer), at: cells.reviewed_at, painted: paintedOf(cells),
    };
    taken.push(row);
  }
  saveReviews(taken);
  const others = strangers ? `; ${strangers} rows belong to another run and were left out` : "";
  announceImport(`Imported ${taken.length} cases${others}.`);
};
const announceImport = (text) => { announce(text); byId("shown-count").textContent = text; };
