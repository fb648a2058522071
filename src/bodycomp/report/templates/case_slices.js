// Which slice of the open case is shown, and the way through the others.
const placeOf = (shown, position) => {
  const slice = shown.data.slices[position];
  return { position, index: slice.index, z: slice.z_mm };
};
const showPlace = async (place) => {
  opened.place = place;
  const { data, curve, row } = opened, slice = place.position === null ? null : data.slices[place.position];
  const level = row.cells.slice_index, apart = isNumber(row.cells.level_z_mm) ? place.z - row.cells.level_z_mm : null;
  const offset = apart === null ? "" : place.index === level ? ", the level" : `, ${inDigits(Math.abs(apart), 0)} mm ${apart > 0 ? "above" : "below"} ${row.cells.level}`;
  byId("slice-words").textContent = `Slice ${place.index + 1} of ${curve.z.length}, z = ${inDigits(place.z, 1)} mm${offset}`;
  byId("no-picture").hidden = Boolean(slice);
  byId("no-picture").textContent = `No picture of this slice is kept. The level can be moved here all the same (m).`;
  byId("canvas").hidden = !slice;
  byId("canvas").setAttribute("aria-label", `CT slice ${place.index + 1}${slice?.mask ? " with labels" : ""}`);
  byId("tissue-boxes").classList.toggle("idle", !slice?.mask);
  drawViews(opened);
  showVerdict(row);
  leaveStroke();
  if (slice) await repaintSlice();
  if (opened?.row !== row) return;
  showPaintTools();
  byId("stage").setAttribute("aria-busy", "false");
};
const repaintSlice = async () => {
  const slice = shownSlice();
  if (!slice) return;
  const picture = await decodeSlice(slice, opened.row);
  if (shownSlice() !== slice) return;
  paintSlice(byId("canvas"), picture);
  layOutStage();
  await drawNeighbors();
};
const stepSlice = (by) => {
  if (!opened?.place) return;
  const { slices } = opened.data, { position, z } = opened.place;
  const next = position !== null ? position + by : by > 0 ? slices.findIndex((one) => one.z_mm > z) : slices.findLastIndex((one) => one.z_mm < z);
  if (slices[next]) showPlace(placeOf(opened, next));
};
const goToPlace = (z) => {
  const { curve, data } = opened, index = nearest(curve.z, z), found = data.slices.findIndex((slice) => slice.index === index);
  showPlace(found >= 0 ? placeOf(opened, found) : { position: null, index, z: curve.z[index] });
};
const goHome = () => {
  if (!opened?.curve) return;
  const review = reviewOf(opened.row), moved = opened.data.slices.findIndex((slice) => slice.index === review.moved);
  showPlace(placeOf(opened, moved >= 0 ? moved : opened.data.shown));
};
const startSlices = () => {
  byId("slice-up").addEventListener("click", () => stepSlice(1));
  byId("slice-down").addEventListener("click", () => stepSlice(-1));
  byId("slice-home").addEventListener("click", goHome);
  let turned = 0;
  byId("stage").addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey) { zoomBy(Math.exp(-(event.deltaMode ? event.deltaY * 40 : event.deltaY) / 200), percentOf(event)); return; }
    turned += event.deltaMode ? event.deltaY * 40 : event.deltaY;
    if (Math.abs(turned) >= 40) { stepSlice(turned < 0 ? 1 : -1); turned = 0; }
  }, { passive: false });
  new ResizeObserver(() => { if (opened?.curve) drawViews(opened); }).observe(byId("views"));
};
