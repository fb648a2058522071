// A person beside references: words of each, and the person on the curves of those that say something.
const referencePicture = (view, sources, drawn) => {
  if (!view.curves.length || !isNumber(view.value)) return null;
  const axes = { x: { label: "age", unit: "years" }, y: { label: view.title, unit: view.unit } };
  const ages = view.curves.flatMap((line) => line.points.map(([age]) => age)), all = view.curves.flatMap((line) => [...line.points.map(([, value]) => value), ...line.low, ...line.high]);
  const xs = extentOf([...ages, ...(isNumber(view.age) ? [view.age] : [])]), ys = extentOf([...all, view.value]), scales = plotScales(xs, ys);
  const keys = [...new Set(view.curves.map((line) => line.reference))], tone = (line) => `g${(drawn.indexOf(line.reference) % 7) + 1}`;
  const path = (points) => `M${points.map(([age, value]) => `${scales.toX(age).toFixed(1)} ${scales.toY(value).toFixed(1)}`).join("L")}`;
  const bands = view.curves.filter((line) => line.low.length).map((line) => {
    const along = (ends) => line.points.map(([age], at) => [age, ends[at]]);
    return draw("path", { class: `reference-band ${tone(line)}`, d: `${path([...along(line.low), ...along(line.high).reverse()])}Z` });
  });
  const lines = view.curves.map((line) => draw("path", { class: `curve ${tone(line)}${line.percentile === 50 ? "" : " dashed"}`, d: path(line.points) }));
  const person = isNumber(view.age)
    ? draw("circle", { class: "person", r: 5, cx: scales.toX(view.age), cy: scales.toY(view.value) })
    : draw("line", { class: "guide", x1: scales.toX(xs[0]), x2: scales.toX(xs[1]), y1: scales.toY(view.value), y2: scales.toY(view.value) });
  const words = view.said.filter((one) => one.text).map((one) => `${sources[one.reference].title}: ${one.text}`).join("; ");
  return make("figure", { class: "reference-picture" },
    draw("svg", { viewBox: `0 0 ${plotSize.width} ${plotSize.height}`, class: "plot-chart", role: "img", "aria-label": `${view.title} ${inDigits(view.value, digitsFor(view.value))} ${view.unit}: ${words}` },
      ...drawAxes(axes, xs, ys, scales), ...bands, ...lines, person),
    make("figcaption", {}, ...keys.map((key) => make("span", {}, make("i", { class: `key ${tone({ reference: key })}` }), sources[key].title)),
      make("span", { class: "quiet" }, "dot: this person; solid: median; dashed: 5th and 95th percentile, or the limit")));
};
const referenceList = ({ data }) => {
  const { sources, views: all } = data.references || { views: [] };
  const views = all.filter((view) => isNumber(view.value));
  if (!views.length) return null;
  const drawn = [...new Set(views.flatMap((view) => view.curves.map((line) => line.reference)))];
  const parts = views.map((view) => make("section", { class: "reference" },
    make("h3", {}, `${view.title}: ${inDigits(view.value, digitsFor(view.value))} ${view.unit}`.trim()), referencePicture(view, sources, drawn),
    make("dl", { class: "fact-list" }, ...view.said.map((one) => make("div", { class: one.text ? null : "missing" },
      make("dt", { title: sources[one.reference].about }, sources[one.reference].title), make("dd", {}, one.text || `\u2013 ${one.reason}`))))));
  return make("details", { open: true, class: "references" }, make("summary", {}, "Reference values: none is the normal one, no diagnosis"), ...parts);
};
