// Brush, eraser, fill and polygon on the slice that is shown, and where the cursor of the keys is.
const paint = { tool: "view", label: 0, radius: 4, limited: false, low: 0, high: 0, stroke: null, corners: [], cursor: null, hasKeys: false };
const toolNames = { view: "look", brush: "brush", erase: "eraser", fill: "fill", polygon: "polygon" };
const isPainting = () => paint.tool !== "view" && Boolean(shownSlice()?.decoded?.before) && !whyNotPainted(opened, shownSlice());
const inLimits = ({ gray }, at) => { const hu = Math.round(huOf(gray[at])); return hu >= paint.low && hu <= paint.high; };
const givenLabel = () => (paint.tool === "erase" ? 0 : paint.label);

const paintPixels = (places) => {
  const slice = shownSlice(), { labels } = slice.decoded.mask, label = givenLabel();
  paint.stroke ??= new Map();
  for (const at of places) {
    if (labels[at] === label || (paint.limited && !inLimits(slice.decoded, at))) continue;
    if (!paint.stroke.has(at)) paint.stroke.set(at, labels[at]);
    labels[at] = label;
  }
  showSoon();
};
const endStroke = () => {
  const { stroke } = paint, slice = shownSlice();
  paint.stroke = null;
  if (!stroke?.size) return;
  addStep(opened, slice, stroke);
  savePainting(opened, slice);
  announce(`${stroke.size} pixels ${givenLabel() ? `are ${tissueOf.get(givenLabel()).title.toLowerCase()}` : "erased"}`);
  showPainting();
};
// A stroke that a second finger or another slice interrupts counts as if it had never begun.
const leaveStroke = () => {
  const { labels } = shownSlice()?.decoded?.mask || {};
  if (paint.stroke && labels) for (const [at, label] of paint.stroke) labels[at] = label;
  Object.assign(paint, { stroke: null, corners: [], cursor: null });
};
const takeBack = (isBack) => {
  if (!isPainting() && !shownSlice()?.decoded?.before) return;
  paint.corners = [];
  const count = takeStep(opened, shownSlice(), isBack);
  if (count) savePainting(opened, shownSlice());
  announce(count ? `${isBack ? "Undone" : "Done again"}: ${count} pixels` : `Nothing to ${isBack ? "undo" : "redo"}`);
  showPainting();
};
const clearPainting = () => {
  const { before, mask } = shownSlice().decoded;
  paint.stroke = new Map();
  before.forEach((label, at) => { if (mask.labels[at] !== label) { paint.stroke.set(at, mask.labels[at]); mask.labels[at] = label; } });
  endStroke();
};

const fillFrom = (place) => {
  const { decoded } = shownSlice(), start = pixelAt(decoded, place), under = decoded.mask.labels[start];
  paintPixels(pixelsOfFill(decoded, start, (at) => inLimits(decoded, at) && decoded.mask.labels[at] === under));
  endStroke();
};
const addCorner = (place) => { paint.corners.push(place); announce(`Corner ${paint.corners.length}`); drawPaintOverlay(); };
const closePolygon = () => {
  const { corners } = paint;
  paint.corners = [];
  if (corners.length > 2) paintPixels(pixelsOfPolygon(shownSlice().decoded, corners));
  endStroke();
  drawPaintOverlay();
};
const pressAt = (place) => {
  const slice = shownSlice();
  if (paint.tool === "fill") fillFrom(place);
  else if (paint.tool === "polygon") addCorner(place);
  else paintPixels(pixelsOfDisc(slice.decoded, slice.grid, place, paint.radius));
};

const setTool = (tool) => {
  Object.assign(paint, { tool, corners: [] });
  if (tool !== "view") { byId("paint").open = true; byId("stage").focus(); }
  showPaintTools();
  announce(isPainting() || tool === "view" ? toolNames[tool] : byId("paint-words").textContent);
};
const setTissue = (label) => {
  const tissue = tissueOf.get(label);
  if (!tissue || !opened?.data?.tissues.includes(tissue.key)) return;
  [paint.low, paint.high] = tissue.hu_range;
  paint.label = label;
  showPaintTools();
  announce(tissue.title);
};
const setRadius = (by) => { paint.radius = Math.max(0.5, Math.min(25, paint.radius + by)); showPaintTools(); announce(`${paint.radius} mm`); };

let isShownSoon = false;
const showSoon = () => {
  if (isShownSoon) return;
  isShownSoon = true;
  requestAnimationFrame(() => { isShownSoon = false; if (opened?.data) showPainting(); });
};
const showPainting = () => {
  const slice = shownSlice();
  if (!slice?.decoded) return;
  paintSlice(byId("canvas"), slice.decoded);
  layOutStage();
  showPaintedNumbers(opened);
  if (!paint.stroke) showPaintTools();
};
const showPaintTools = () => {
  byId("paint").hidden = page.kind !== "analysis";
  if (!opened?.data || byId("paint").hidden) return;
  const slice = shownSlice(), why = whyNotPainted(opened, slice), active = isPainting(), steps = slice ? stepsOf(opened, slice) : { done: [], undone: [] };
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === paint.tool));
    button.disabled = Boolean(why) && button.dataset.tool !== "view";
  }
  const own = page.tissues.filter((tissue) => opened.data.tissues.includes(tissue.key)), chooser = byId("paint-tissue");
  if (chooser.options.length !== own.length) chooser.replaceChildren(...own.map((tissue, at) => make("option", { value: tissue.label }, `${tissue.title} (${at + 1})`)));
  if (!own.some((tissue) => tissue.label === paint.label) && own.length) { paint.label = own[0].label; [paint.low, paint.high] = own[0].hu_range; }
  chooser.value = paint.label;
  byId("paint-size").value = paint.radius;
  byId("paint-size-out").textContent = `${inDigits(paint.radius, 1)} mm`;
  byId("paint-limited").checked = paint.limited;
  byId("paint-low").value = paint.low;
  byId("paint-high").value = paint.high;
  byId("paint-undo").disabled = !steps.done.length;
  byId("paint-redo").disabled = !steps.undone.length;
  byId("paint-clear").disabled = !slice?.decoded?.before || !paintedRuns(opened.row)[slice.index];
  byId("paint-words").textContent = why || (isPaintedHere(opened.row) ? "Corrected: it is exported with your review, and measured by bodycomp review apply." : "");
  byId("stage").classList.toggle("painting", active);
  drawPaintOverlay();
};
