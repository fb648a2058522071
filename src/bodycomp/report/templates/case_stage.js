// How large the slice is shown and which part of it; slices beside it follow.
const zoom = { scale: 1, x: 0, y: 0 };  // x and y in percent of the picture, from its middle
const mostZoom = 16;
const millimetersOf = ({ grid }, { width, height }) => (grid ? [width * grid.column_mm, height * grid.row_mm] : [width, height]);

const layOut = (canvas, [wide, high], room) => {
  const fit = Math.min(room.clientWidth / wide, room.clientHeight / high), { style } = canvas;
  style.width = `${wide * fit}px`;
  style.height = `${high * fit}px`;
  style.transform = `translate(${zoom.x}%, ${zoom.y}%) scale(${zoom.scale})`;
  style.imageRendering = (wide * fit * zoom.scale) / canvas.width > 3 ? "pixelated" : "auto";
};
const layOutStage = () => {
  const slice = shownSlice();
  if (!slice?.decoded) return;
  layOut(byId("canvas"), millimetersOf(slice, slice.decoded), byId("stage"));
  for (const canvas of document.querySelectorAll("#neighbors canvas")) if (canvas.shown) layOut(canvas, canvas.shown, canvas.parentElement);
  byId("zoom-out").textContent = `${inDigits(100 * zoom.scale, 0)} %`;
  byId("stage").classList.toggle("zoomed", zoom.scale > 1);
  drawPaintOverlay();
};
// Zoom about a place of the stage in percent of the picture, by default its middle.
const zoomBy = (factor, [x, y] = [0, 0]) => {
  const scale = Math.min(mostZoom, Math.max(1, zoom.scale * factor)), by = scale / zoom.scale;
  zoom.scale = scale;
  moveTo(x - (x - zoom.x) * by, y - (y - zoom.y) * by);
};
const moveTo = (x, y) => {
  const most = 50 * (zoom.scale - 1), within = (value) => Math.max(-most, Math.min(most, value));
  zoom.x = within(x);
  zoom.y = within(y);
  layOutStage();
};
const showWhole = () => { zoom.scale = 1; moveTo(0, 0); };
const percentOf = ({ clientX, clientY }) => {
  const stage = byId("stage").getBoundingClientRect(), canvas = byId("canvas");
  return [(100 * (clientX - stage.left - stage.width / 2)) / canvas.offsetWidth, (100 * (clientY - stage.top - stage.height / 2)) / canvas.offsetHeight];
};

const shownSlice = () => (isNumber(opened?.place?.position) ? opened.data.slices[opened.place.position] : null);
const drawNeighbors = async () => {
  const box = byId("neighbors"), position = opened?.place?.position;
  box.hidden = !byId("beside").checked || !isNumber(position);
  if (box.hidden) return;
  const { row, data } = opened;
  for (const [button, by] of [["below", -1], ["above", 1]]) {
    const slice = data.slices[position + by], canvas = byId(button).querySelector("canvas");
    byId(button).disabled = !slice;
    byId(button).querySelector("span").textContent = slice ? `${by > 0 ? "above" : "below"}: slice ${slice.index + 1}, ${inDigits(Math.abs(slice.z_mm - data.slices[position].z_mm), 1)} mm` : `no slice ${by > 0 ? "above" : "below"} is kept`;
    canvas.shown = null;
    canvas.hidden = !slice;
    if (!slice) continue;
    const picture = await decodeSlice(slice, row);
    if (opened?.place?.position !== position) return;
    paintSlice(canvas, picture);
    canvas.shown = millimetersOf(slice, picture);
  }
  layOutStage();
};
const startStage = () => {
  byId("zoom-more").addEventListener("click", () => zoomBy(1.5));
  byId("zoom-less").addEventListener("click", () => zoomBy(1 / 1.5));
  byId("zoom-whole").addEventListener("click", showWhole);
  byId("beside").addEventListener("change", drawNeighbors);
  byId("below").addEventListener("click", () => stepSlice(-1));
  byId("above").addEventListener("click", () => stepSlice(1));
  new ResizeObserver(layOutStage).observe(byId("stage"));
};
