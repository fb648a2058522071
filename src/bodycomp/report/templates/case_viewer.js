// The dialog with one case, and the verdict on it.
let opened = null;  // { row, data, curve, place }
let fromPlot = false;  // the browser gives the focus back to the plot
const dialog = byId("case");

const openCase = async (row) => {
  if (!row) return;
  leaveStroke();
  saveReview();
  markRow(row);
  opened = { row, data: null, curve: null, place: null };
  byId("case-title").replaceChildren(...[row.cells.study, row.cells.series, row.cells.level].filter(Boolean).flatMap((part, at) => (at ? [" / ", part] : [part])));
  const at = shownRows.indexOf(row);
  byId("case-place").textContent = at < 0 ? "" : `${at + 1} of ${shownRows.length}`;
  byId("case-back").disabled = at <= 0;
  byId("case-on").disabled = at < 0 || at >= shownRows.length - 1;
  byId("comment").value = reviewOf(row).comment || "";
  if (!dialog.open) { fromPlot = Boolean(document.activeElement.closest(".plot-stage")); dialog.showModal(); byId("case-title").focus(); }
  announce(`${nameOf(row)}${at < 0 ? "" : `, case ${at + 1} of ${shownRows.length}`}`);
  byId("stage").setAttribute("aria-busy", "true");
  const data = await readCase(row);
  if (opened?.row !== row) return;  // another one was opened meanwhile
  opened.data = { tissues: [], reasons: {}, flags: [], other_levels: {}, slices: [], ...data };
  const hasPictures = opened.data.slices.length > 0;
  for (const id of ["case-slice", "case-views"]) dialog.querySelector(`.${id}`).hidden = !hasPictures;
  byId("truth-label").hidden = !opened.data.slices.some((slice) => slice.truth);
  for (const label of document.querySelectorAll("#tissue-boxes label")) label.hidden = !opened.data.tissues.includes(label.dataset.tissue);
  if (hasPictures) opened.curve = curveValues(opened.data.curve);
  await Promise.all(opened.data.slices.filter((slice) => paintedRuns(row)[slice.index]).map((slice) => decodeSlice(slice, row)));
  if (opened?.row !== row) return;
  showNumbers(opened);
  showVerdict(row);
  if (hasPictures) { goHome(); showLegend(opened); }
};
const stepCase = (by) => { const next = neighborOf(opened?.row, by); if (next) openCase(next); };

const showVerdict = (row) => {
  if (opened?.row !== row) return;
  const review = reviewOf(row), { place } = opened, moved = isMoved(review);
  for (const verdict of ["accept", "reject"]) byId(verdict).setAttribute("aria-pressed", String(review.verdict === verdict));
  const there = place && review.moved === place.index, home = !moved && place?.index === row.cells.slice_index;
  byId("move").disabled = !place || home || isPaintedHere(row);
  byId("move").title = isPaintedHere(row) ? "The mask was corrected: take that back to move the level." : "";
  byId("move").setAttribute("aria-pressed", String(Boolean(there)));
  byId("moved-words").textContent = moved
    ? `Level moved to slice ${review.moved + 1}${isNumber(row.cells.slice_index) ? `, from ${row.cells.slice_index + 1}` : ""}. Its measurements are those of the old slice until bodycomp review apply has measured the new one.` : "";
};
const giveVerdict = (verdict) => {
  if (!opened) return;
  const { row } = opened, taken = reviewOf(row).verdict === verdict;
  setReview(row, { verdict: taken ? "" : verdict });
  announce(taken ? "Verdict taken back" : `${verdict === "accept" ? "Accepted" : "Rejected"} ${nameOf(row)}; ${byId("review-count").textContent}`);
  if (!taken && verdict === "accept" && byId("go-on").checked) stepCase(1);
};
const moveLevel = () => {
  if (!opened?.place || byId("move").disabled) return;
  const { row, place } = opened, back = reviewOf(row).moved === place.index || place.index === row.cells.slice_index;
  setReview(row, { moved: back ? null : place.index, painted: null });
  announce(back ? "The level is back where it was found" : `Level moved to slice ${place.index + 1}`);
};

const startViewer = () => {
  const tools = startLook(repaintSlice);
  startSlices();
  startStage();
  startPainting();
  byId("case-back").addEventListener("click", () => stepCase(-1));
  byId("case-on").addEventListener("click", () => stepCase(1));
  byId("case-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { leaveStroke(); opened = null; showRows(); markRow(marked, !fromPlot); });
  for (const verdict of ["accept", "reject"]) byId(verdict).addEventListener("click", () => giveVerdict(verdict));
  byId("move").addEventListener("click", moveLevel);
  byId("comment").addEventListener("input", (event) => setReview(opened.row, { comment: event.target.value }));
  document.addEventListener("reviewed", ({ detail: row }) => {
    showVerdict(row);
    if (opened?.row === row) showPaintTools();
    if (opened?.row === row && opened.curve) { drawViews(opened); showLegend(opened); }
  });
  return tools;
};
