// Mouse, pen, finger and keys on the slice. How hard a pen presses plays no part; its other end erases.
const pointers = new Map();  // fingers, pens and buttons that are down -> where they were last
const pixelPlace = ({ clientX, clientY }) => {
  const canvas = byId("canvas"), box = canvas.getBoundingClientRect();
  return [((clientX - box.left) / box.width) * canvas.width, ((clientY - box.top) / box.height) * canvas.height];
};
const between = ([one, other]) => ({ clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2, apart: Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) });

const pointerDown = (event) => {
  const stage = byId("stage"), isPan = event.button === 1 || (event.button === 0 && !isPainting());
  if (!opened?.data || (event.button && !isPan && event.button !== 5)) return;
  if (isPan && zoom.scale === 1 && event.pointerType !== "touch") return;
  pointers.set(event.pointerId, event);
  if (pointers.size > 1) { leaveStroke(); showPainting(); return; }
  if (isPan && zoom.scale === 1) return;
  event.preventDefault();
  stage.setPointerCapture(event.pointerId);
  stage.focus();
  paint.hasKeys = false;
  if (isPan) return;
  paint.erases = event.button === 5 && paint.tool === "brush";
  if (paint.erases) paint.tool = "erase";
  const place = pixelPlace(event), first = paint.corners[0];
  if (first && paint.tool === "polygon" && Math.hypot(place[0] - first[0], place[1] - first[1]) < 10 * (byId("canvas").width / byId("canvas").getBoundingClientRect().width)) closePolygon();
  else pressAt(place);
};
const pointerMove = (event) => {
  const last = pointers.get(event.pointerId);
  paint.cursor = isPainting() ? pixelPlace(event) : null;
  paint.hasKeys = false;
  if (!last) { drawPaintOverlay(); return; }
  if (pointers.size === 2) {
    const before = between([...pointers.values()]);
    pointers.set(event.pointerId, event);
    const now = between([...pointers.values()]), from = percentOf(before), to = percentOf(now);
    if (before.apart) zoomBy(now.apart / before.apart, to);
    moveTo(zoom.x + to[0] - from[0], zoom.y + to[1] - from[1]);
    return;
  }
  pointers.set(event.pointerId, event);
  if (paint.stroke) {
    const slice = shownSlice(), events = event.getCoalescedEvents?.() || [];
    let from = pixelPlace(last);
    for (const place of (events.length ? events : [event]).map(pixelPlace)) { paintPixels(pixelsOfLine(slice.decoded, slice.grid, from, place, paint.radius)); from = place; }
  } else if (zoom.scale > 1 && (!isPainting() || event.buttons & 4)) {
    const from = percentOf(last), to = percentOf(event);
    moveTo(zoom.x + to[0] - from[0], zoom.y + to[1] - from[1]);
  }
};
const pointerUp = (event) => {
  if (!pointers.delete(event.pointerId)) return;
  if (event.type === "pointercancel") leaveStroke();
  endStroke();
  if (paint.erases) { paint.erases = false; paint.tool = "brush"; }
};

const moveCursor = (right, down) => {
  const { width, height } = shownSlice().decoded, [x, y] = paint.cursor || [width / 2, height / 2];
  paint.cursor = [Math.max(0, Math.min(width - 1, Math.floor(x) + right)) + 0.5, Math.max(0, Math.min(height - 1, Math.floor(y) + down)) + 0.5];
  paint.hasKeys = true;
  const { gray, mask } = shownSlice().decoded, at = pixelAt({ width, height }, paint.cursor);
  announce(`${inDigits(huOf(gray[at]), 0)} HU, ${tissueOf.get(mask.labels[at])?.title.toLowerCase() || "no label"}`);
  drawPaintOverlay();
};
const pressKey = () => { if (!paint.cursor) moveCursor(0, 0); pressAt(paint.cursor); endStroke(); };
// Keys while a tool is active; true if one was taken.
const paintKey = ({ key, shiftKey }) => {
  const step = shiftKey ? 10 : 1, hasCorners = paint.corners.length > 0;
  const acts = {
    ArrowLeft: () => moveCursor(-step, 0), ArrowRight: () => moveCursor(step, 0), ArrowUp: () => moveCursor(0, -step), ArrowDown: () => moveCursor(0, step),
    " ": pressKey, Escape: () => (hasCorners ? leaveStroke() || drawPaintOverlay() : setTool("view")),
    ...(hasCorners ? { Enter: closePolygon, Backspace: () => { paint.corners.pop(); drawPaintOverlay(); } } : {}),
  };
  if (!isPainting() || !acts[key]) return false;
  acts[key]();
  return true;
};

// The outline of the brush, or the polygon so far, above the slice.
const drawPaintOverlay = () => {
  const overlay = byId("paint-overlay"), stage = byId("stage"), ratio = devicePixelRatio || 1;
  overlay.width = stage.clientWidth * ratio;
  overlay.height = stage.clientHeight * ratio;
  if (!isPainting()) return;
  const context = overlay.getContext("2d"), canvas = byId("canvas"), box = canvas.getBoundingClientRect(), around = stage.getBoundingClientRect();
  const to = ([x, y]) => [box.left - around.left + (x * box.width) / canvas.width, box.top - around.top + (y * box.height) / canvas.height];
  context.scale(ratio, ratio);
  const stroke = () => { for (const [color, width] of [["#000", 3], ["#fff", 1.2]]) { context.strokeStyle = color; context.lineWidth = width; context.stroke(); } };
  const { corners, cursor, tool } = paint, { column_mm: wide, row_mm: tall } = shownSlice().grid;
  if (corners.length) {
    context.beginPath();
    for (const place of [...corners, ...(cursor ? [cursor] : [])]) context.lineTo(...to(place));
    stroke();
    context.beginPath();
    context.arc(...to(corners[0]), 5, 0, 7);
    stroke();
  }
  if (!cursor) return;
  const [x, y] = to(cursor);
  context.beginPath();
  if (tool === "brush" || tool === "erase") context.ellipse(x, y, ((paint.radius / wide) * box.width) / canvas.width, ((paint.radius / tall) * box.height) / canvas.height, 0, 0, 7);
  if (paint.hasKeys || tool === "fill" || tool === "polygon") for (const [dx, dy] of [[9, 0], [0, 9]]) { context.moveTo(x - dx, y - dy); context.lineTo(x + dx, y + dy); }
  stroke();
};

const startPainting = () => {
  const stage = byId("stage"), number = (id) => Number(byId(id).value);
  stage.addEventListener("pointerdown", pointerDown);
  stage.addEventListener("pointermove", pointerMove);
  for (const kind of ["pointerup", "pointercancel"]) window.addEventListener(kind, pointerUp);
  stage.addEventListener("pointerleave", () => { if (!paint.stroke) { paint.cursor = null; drawPaintOverlay(); } });
  stage.addEventListener("dblclick", () => { if (paint.tool === "polygon" && paint.corners.length) closePolygon(); });
  for (const button of document.querySelectorAll("[data-tool]")) button.addEventListener("click", () => setTool(button.dataset.tool));
  byId("paint-tissue").addEventListener("change", () => setTissue(number("paint-tissue")));
  byId("paint-size").addEventListener("input", () => setRadius(number("paint-size") - paint.radius));
  byId("paint-limited").addEventListener("change", (event) => { paint.limited = event.target.checked; });
  for (const id of ["low", "high"]) byId(`paint-${id}`).addEventListener("change", () => { paint[id] = number(`paint-${id}`); });
  byId("paint-undo").addEventListener("click", () => takeBack(true));
  byId("paint-redo").addEventListener("click", () => takeBack(false));
  byId("paint-clear").addEventListener("click", clearPainting);
};
