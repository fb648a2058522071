// Plots as SVG; points and bars lead to their cases.
const plotScales = (xs, ys) => {
  const { width, height, left, right, top, bottom } = plotSize;
  return { toX: scaleOf(xs, [left, width - right]), toY: scaleOf(ys, [height - bottom, top]) };
};
const pointWords = (plot, point) => {
  const row = rowOf.get(point.case), name = point.label || (row ? nameOf(row) : point.series);
  const part = (axis, value) => `${axis.label} ${inDigits(value, digitsFor(value))} ${axis.unit}`.trim();
  return [name, part(plot.x, point.x), part(plot.y, point.y)].filter(Boolean).join(" \u00b7 ");
};
const seriesOf = (plot) => [...new Set(plot.points.map((point) => point.series))];
const toneOf = (plot, series) => `g${(seriesOf(plot).indexOf(series) % 6) + 1}`;

const drawMarks = (plot, box) => {
  const points = plot.points.map((point) => ({ ...point, at: { x: onAxis(plot.x, point.x), y: onAxis(plot.y, point.y) } }))
    .filter(({ at }) => isNumber(at.x) && isNumber(at.y));
  const xs = extentOf([...points.map(({ at }) => at.x), ...plot.lines.filter((line) => line.upright).map((line) => line.at)], plot.x.limits);
  const ys = extentOf([...points.map(({ at }) => at.y), ...lineEnds(plot, xs)], plot.y.limits), scales = plotScales(xs, ys);
  const joined = plot.kind === "curves" || plot.kind === "calibration";
  const place = ({ at }) => `${scales.toX(at.x).toFixed(1)} ${scales.toY(at.y).toFixed(1)}`;
  const paths = joined ? seriesOf(plot).map((name) => draw("path", { class: `curve ${toneOf(plot, name)}`,
    d: `M${points.filter((point) => point.series === name).map(place).join("L")}` })) : [];
  const marks = points.map((point) => draw("circle", { class: `point ${toneOf(plot, point.series)}${point.case ? " leads" : ""}`, r: joined ? 2.4 : 4, cx: scales.toX(point.at.x), cy: scales.toY(point.at.y) }));
  const targets = points.map((point, number) => ({ point, element: marks[number], words: pointWords(plot, point), row: rowOf.get(point.case) }));
  targets.sort((one, other) => one.point.at.x - other.point.at.x);
  wirePlot(box, [...drawAxes(plot, xs, ys, scales), ...paths, ...plot.lines.flatMap((line) => drawLine(line, xs, ys, scales)), ...marks], targets);
};

const binsOf = (plot) => {
  const values = plot.points.map((point) => point.x), [low, high] = plot.x.limits || [Math.min(...values), Math.max(...values)];
  const { ticks } = niceTicks(low, high > low ? high : low + 1, Math.min(24, Math.max(10, Math.ceil(2 * Math.cbrt(values.length)))));
  const step = ticks[1] - ticks[0], first = Math.floor(low / step + 1e-9) * step, bins = [];
  for (let start = first; start <= high + step * 1e-9; start += step) bins.push({ from: start, to: start + step, points: [] });
  for (const point of plot.points) bins[Math.min(bins.length - 1, Math.max(0, Math.floor((point.x - first) / step + 1e-9)))].points.push(point);
  if (bins.length > 1 && !bins.at(-1).points.length) bins.pop();
  return bins;
};
const drawBars = (plot, box) => {
  const bins = binsOf(plot), xs = [bins[0].from, bins.at(-1).to], ys = [0, Math.max(...bins.map((bin) => bin.points.length)) * 1.08 || 1];
  const scales = plotScales(xs, ys), digits = niceTicks(...xs).digits + 1;
  const bars = bins.map((bin) => draw("rect", { class: `bar g1${bin.points.some((point) => point.case) ? " leads" : ""}`, x: scales.toX(bin.from) + 1, width: Math.max(1, scales.toX(bin.to) - scales.toX(bin.from) - 2),
    y: scales.toY(bin.points.length), height: scales.toY(0) - scales.toY(bin.points.length) }));
  const targets = bins.map((bin, at) => {
    const far = [...bin.points].sort((one, other) => Math.abs(other.x) - Math.abs(one.x))[0], cases = bin.points.length === 1 ? "case" : "cases";
    return { element: bars[at], words: `${inDigits(bin.from, digits)} to ${inDigits(bin.to, digits)} ${plot.x.unit}: ${bin.points.length} ${cases}`, row: rowOf.get(far?.case) };
  });
  wirePlot(box, [...drawAxes(plot, xs, ys, scales, true), ...bars, ...plot.lines.flatMap((line) => drawLine(line, xs, ys, scales))], targets);
};

// One stop for the Tab key per plot: arrows go through the points, Enter opens a case.
const wirePlot = (box, parts, targets) => {
  const readout = make("p", { class: "readout", "aria-live": "polite" });
  const chart = draw("svg", { viewBox: `0 0 ${plotSize.width} ${plotSize.height}`, class: "plot-chart", "aria-hidden": "true" }, ...parts);
  const stage = make("div", { class: "plot-stage", tabindex: "0", role: "group", "aria-label": `${box.dataset.title}: ${targets.length} points; arrow keys go through them, Enter opens a case` }, chart);
  let at = -1;
  const show = (next) => {
    targets[at]?.element.classList.remove("on");
    at = next;
    targets[at]?.element.classList.add("on");
    readout.textContent = targets[at]?.words || "";
  };
  targets.forEach((target, place) => {
    target.element.addEventListener("pointerenter", () => show(place));
    target.element.addEventListener("click", () => { show(place); openCase(target.row); });
  });
  chart.addEventListener("pointerleave", () => document.activeElement === stage || show(-1));
  stage.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (by) show((at + by + targets.length) % targets.length);
    else if (event.key === "Enter") openCase(targets[at]?.row);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  box.append(stage, readout);
};
const drawPlot = (plot) => {
  const box = make("figure", { class: "plot-card", "data-title": plot.title }, make("h3", {}, plot.title));
  if (plot.points.length) (plot.kind === "histogram" ? drawBars : drawMarks)(plot, box);
  else box.append(make("p", { class: "quiet" }, "no values"));
  const names = seriesOf(plot).filter(Boolean);
  if (names.length > 1) box.append(make("p", { class: "legend" }, ...names.map((name) => make("span", {}, make("i", { class: `key ${toneOf(plot, name)}` }), name))));
  if (plot.sentence) box.append(make("figcaption", {}, plot.sentence));
  return box;
};
const startPlots = () => {
  const room = byId("plots");
  if (room) room.append(...page.plots.map(drawPlot));
};
