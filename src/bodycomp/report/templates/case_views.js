// Curve, coronal and sagittal view over one z axis, head up; a click goes to the slice there.
const curveValues = (curve) => {
  const count = curve.offset.length, places = curve.z_mm;
  const z = Array.isArray(places) ? places : Array.from({ length: count }, (_, at) => places.first + places.step * at);
  return { z, offset: curve.offset.map((value) => (value === null ? null : value / 10)), smoothed: curve.smoothed.map((value) => value / 10) };
};
const nearest = (places, value) =>
  places.reduce((best, place, at) => (Math.abs(place - value) < Math.abs(places[best] - value) ? at : best), 0);

const viewMarks = (shown) => {
  const { cells } = shown.row, review = reviewOf(shown.row), marks = [];
  for (const [name, z] of Object.entries(shown.data.other_levels)) marks.push({ z, name, kind: "other" });
  if (isNumber(shown.data.truth_z_mm)) marks.push({ z: shown.data.truth_z_mm, name: "truth", kind: "truth" });
  if (isNumber(cells.level_z_mm)) marks.push({ z: cells.level_z_mm, name: cells.level, kind: "level" });
  if (isMoved(review)) marks.push({ z: shown.curve.z[review.moved], name: "moved", kind: "moved" });
  if (shown.place && shown.place.index !== cells.slice_index) marks.push({ z: shown.place.z, name: "", kind: "here" });
  return marks.filter((mark) => isNumber(mark.z)).sort((one, other) => other.z - one.z);
};
// Names stand above their lines, or below where another name is there already.
const nameHeights = (marks, toY) => {
  let last = -Infinity;
  return marks.map(({ name, z }) => {
    if (!name) return 0;
    const above = toY(z) - 3, y = above - last < 12 ? Math.max(toY(z) + 11, last + 11) : above;
    last = y;
    return y;
  });
};

const drawViews = (shown) => {
  const box = byId("views"), room = box.clientWidth;
  if (!room || !shown.curve) return;
  const { coronal, sagittal } = shown.data, gap = 6, curveWidth = Math.min(190, Math.max(96, room * 0.26));
  const extent = coronal.high_mm - coronal.low_mm, top = 16, bottom = 30;
  const scale = Math.min((room - curveWidth - 2 * gap) / (coronal.width_mm + sagittal.width_mm), (room > 520 ? 300 : 240) / extent);
  const height = extent * scale, toY = (z) => top + (coronal.high_mm - z) * scale;
  const starts = [0, curveWidth + gap, curveWidth + 2 * gap + coronal.width_mm * scale];
  const width = starts[2] + sagittal.width_mm * scale;
  const marks = viewMarks(shown), heights = nameHeights(marks, toY);
  const picture = (view, x, name) => [
    draw("image", { href: `data:image/webp;base64,${view.picture}`, x, y: top, width: view.width_mm * scale, height, preserveAspectRatio: "none" }),
    draw("text", { x, y: 11, class: "view-title" }, name),
  ];
  const chart = draw("svg", { viewBox: `0 0 ${width} ${height + top + bottom}`, width, height: height + top + bottom, role: "img", class: "views-chart", "aria-label": viewsInWords(shown) },
    draw("text", { x: 0, y: 11, class: "view-title" }, "Scores"),
    ...picture(coronal, starts[1], room > 420 ? "Coronal, maximum" : "Coronal"), ...picture(sagittal, starts[2], "Sagittal"),
    curvePart(shown, { width: curveWidth, toY, top, height }),
    ...marks.flatMap((mark, at) => markLines(mark, starts, [curveWidth, coronal.width_mm * scale, sagittal.width_mm * scale], { y: toY(mark.z), nameY: heights[at] })));
  chart.addEventListener("click", (event) => {
    const y = (event.clientY - chart.getBoundingClientRect().top) * (height + top + bottom) / chart.getBoundingClientRect().height;
    goToPlace(coronal.high_mm - (y - top) / scale);
  });
  box.replaceChildren(chart);
};
const markLines = ({ name, kind }, starts, widths, { y, nameY }) => starts.flatMap((x, at) => [
  draw("line", { class: `mark-line ${kind}`, x1: x, x2: x + widths[at], y1: y, y2: y }),
  name && at ? draw("text", { class: `mark-name ${kind}`, x: x + widths[at] - 3, y: nameY }, name) : null,
].filter(Boolean));

const curvePart = ({ curve, row }, { width, toY, top, height }) => {
  const scored = curve.offset.filter(isNumber), reach = Math.max(10, ...scored.map(Math.abs), ...curve.smoothed.map(Math.abs)) * 1.08;
  const toX = (offset) => width / 2 + (offset / reach) * (width / 2 - 4);
  const line = curve.smoothed.map((offset, at) => `${at ? "L" : "M"}${toX(offset).toFixed(1)} ${toY(curve.z[at]).toFixed(1)}`).join("");
  const level = row.cells.level_z_mm, clipped = (offset) => Math.max(-reach / 1.08, Math.min(reach / 1.08, offset));
  const expected = isNumber(level) ? curve.z.map((z, at) => `${at ? "L" : "M"}${toX(clipped(z - level)).toFixed(1)} ${toY(z).toFixed(1)}`).join("") : "";
  const dots = curve.offset.map((offset, at) => (offset === null ? null : draw("circle", { class: "score", r: 1.3, cx: toX(offset), cy: toY(curve.z[at]) })));
  const tick = Math.round(reach / 2 / 10) * 10 || 5;
  return draw("g", {}, draw("rect", { class: "curve-back", x: 0, y: top, width, height }),
    draw("line", { class: "zero", x1: toX(0), x2: toX(0), y1: top, y2: top + height }), ...dots,
    expected ? draw("path", { class: "expected", d: expected }) : null, draw("path", { class: "smoothed", d: line }),
    ...[-tick, 0, tick].map((offset) => draw("text", { class: "tick", x: toX(offset), y: top + height + 12 }, inDigits(offset, 0))),
    draw("text", { class: "tick", x: width / 2, y: top + height + 25 }, "mm above level"));
};
const viewsInWords = ({ row, data }) => {
  const { level, level_z_mm: z, status } = row.cells, truth = data.truth_z_mm;
  const place = isNumber(z) ? `${level} at z = ${inDigits(z, 1)} mm` : `${level} ${status}`;
  return `Score curve, coronal and sagittal view; ${place}${isNumber(truth) ? `, truth at ${inDigits(truth, 1)} mm` : ""}`;
};
const showLegend = (shown) => {
  const parts = [["smoothed", "smoothed score"], ["expected", "expected"], ["level", shown.row.cells.level], ["here", "slice shown"]];
  if (isNumber(shown.data.truth_z_mm)) parts.push(["truth", "truth"]);
  if (isMoved(reviewOf(shown.row))) parts.push(["moved", "moved to"]);
  byId("views-legend").replaceChildren(...parts.map(([kind, words]) => make("span", {}, make("i", { class: `line ${kind}` }), words)), make("span", {}, "Click a view to go to the slice there."));
};
