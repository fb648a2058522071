// Scales and axes of the plots.
const plotSize = { width: 440, height: 300, left: 54, right: 14, top: 12, bottom: 44 };
const niceTicks = (low, high, count = 5) => {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const ticks = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) ticks.push(at * step);
  return { ticks, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (String(step / power).includes(".") ? 1 : 0)) };
};
// A logarithmic axis is a plain one of exponents: its ticks alone are written as powers.
const logTicks = (low, high) => {
  const steps = high - low < 1.2 ? [1, 2, 3, 5] : [1], ticks = [];
  for (let power = Math.floor(low); power <= high; power += 1) for (const step of steps) ticks.push(power + Math.log10(step));
  return { ticks: ticks.filter((tick) => tick >= low && tick <= high), tell: (tick) => (tick < -2.5 ? (10 ** tick).toExponential(0).replace("-", "\u2212") : String(Number((10 ** tick).toPrecision(2)))) };
};
const ticksOf = (axis, [low, high], count) => {
  if (axis.logarithmic) return logTicks(low, high);
  const { ticks, digits } = niceTicks(low, high, count);
  return { ticks, tell: (tick) => inDigits(tick, digits) };
};
const onAxis = (axis, value) => (axis.logarithmic ? Math.log10(value) : value);
const extentOf = (values, limits) => {
  if (limits) return limits;
  const low = Math.min(...values), high = Math.max(...values), margin = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - margin, high + margin];
};
const scaleOf = ([low, high], [from, to]) => (value) => from + ((value - low) / (high - low)) * (to - from);
const axisWords = (axis) => (axis.unit ? `${axis.label} (${axis.unit})` : axis.label);

const drawAxes = (plot, xs, ys, { toX, toY }, counts = false) => {
  const { width, height, left, right, top, bottom } = plotSize, parts = [], across = ticksOf(plot.x, xs), up = ticksOf(plot.y, ys, counts ? Math.min(5, Math.floor(ys[1])) : 5);
  for (const tick of across.ticks) {
    parts.push(draw("line", { class: "grid", x1: toX(tick), x2: toX(tick), y1: top, y2: height - bottom }),
      draw("text", { class: "tick", x: toX(tick), y: height - bottom + 15 }, across.tell(tick)));
  }
  for (const tick of up.ticks) {
    parts.push(draw("line", { class: "grid", x1: left, x2: width - right, y1: toY(tick), y2: toY(tick) }),
      draw("text", { class: "tick left", x: left - 6, y: toY(tick) + 4 }, up.tell(tick)));
  }
  parts.push(draw("text", { class: "axis-name", x: (left + width - right) / 2, y: height - 8 }, axisWords(plot.x)),
    draw("text", { class: "axis-name", transform: `translate(13 ${(top + height - bottom) / 2}) rotate(-90)` }, axisWords(plot.y)));
  return parts;
};
// A straight line through the plot, clipped to it; labels sit at its right end.
const drawLine = (line, xs, ys, { toX, toY }) => {
  const { left, right, width, top, height, bottom } = plotSize, kind = `guide${line.dashed ? " dashed" : ""}`;
  if (line.upright) {
    if (line.at < xs[0] || line.at > xs[1]) return [];
    return [draw("line", { class: kind, x1: toX(line.at), x2: toX(line.at), y1: top, y2: height - bottom }),
      draw("text", { class: "guide-name start", x: toX(line.at) + 4, y: top + 11 }, line.label)];
  }
  const ends = xs.map((x) => [x, line.slope * x + line.at]).map(([x, y]) => {
    if (!line.slope || (y >= ys[0] && y <= ys[1])) return [x, y];
    const edge = y < ys[0] ? ys[0] : ys[1];
    return [(edge - line.at) / line.slope, edge];
  });
  if (ends.some(([x, y]) => x < xs[0] - 1e-6 || x > xs[1] + 1e-6 || y < ys[0] || y > ys[1])) return [];
  return [draw("line", { class: kind, x1: toX(ends[0][0]), y1: toY(ends[0][1]), x2: toX(ends[1][0]), y2: toY(ends[1][1]) }),
    line.label ? draw("text", { class: "guide-name", x: Math.min(toX(ends[1][0]), width - right) - 3, y: toY(ends[1][1]) + (line.slope ? 14 : -4) }, line.label) : null].filter(Boolean);
};
const lineEnds = (plot, xs) => plot.lines.filter((line) => !line.upright).flatMap((line) => (line.slope ? [] : [line.at]));
