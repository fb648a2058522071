// What a person painted: changed pixels as runs "first pixel+count=label", pixels counted row by row in the slice
// as the scan has it, so that a run means the same whichever way the patient is turned.
const isMeasured = (slice) => Boolean(slice?.grid && slice.mask);
const isPainted = (review) => Boolean(review.painted);
// A painting of another mask is one that was applied before: what is shown has it already.
const paintedRuns = (row) => { const { painted } = reviewOf(row); return painted?.from === row.cells.labels ? painted.slices : {}; };
const isPaintedHere = (row) => Object.keys(paintedRuns(row)).length > 0;
const whyNotPainted = ({ row, data }, slice) => {
  const { moved } = reviewOf(row);
  if (!row.cells.labels || !data.slices.some(isMeasured)) return "There is no mask here that can be corrected on the page.";
  if (isNumber(moved) && moved !== row.cells.slice_index) return "The level was moved: apply the review, and correct the mask of the new slice on the page that is written then.";
  return isMeasured(slice) ? "" : "This slice was not measured: go to the level (0) to correct its mask.";
};

const pixelNumbers = ({ origin, down, across }, { width, labels }) =>
  Float64Array.from(labels, (_, at) => origin + Math.floor(at / width) * down + (at % width) * across);
const runsOf = ({ grid, decoded: { mask, before } }) => {
  const numbers = pixelNumbers(grid, mask), runs = [];
  const changed = [...mask.labels.keys()].filter((at) => mask.labels[at] !== before[at]).sort((one, other) => numbers[one] - numbers[other]);
  for (const at of changed) {
    const last = runs.at(-1), label = mask.labels[at];
    if (last && last[0] + last[1] === numbers[at] && last[2] === label) last[1] += 1; else runs.push([numbers[at], 1, label]);
  }
  return runs.map(([first, count, label]) => `${first}+${count}=${label}`).join(",");
};
const takeRuns = ({ grid, decoded: { mask, before } }, text) => {
  mask.labels.set(before);
  if (!text) return;
  const places = new Map(Array.from(pixelNumbers(grid, mask), (number, at) => [number, at]));
  for (const run of text.split(",")) {
    const [first, count, label] = run.split(/[+=]/).map(Number);
    for (let number = first; number < first + count; number += 1) if (places.has(number)) mask.labels[places.get(number)] = label;
  }
};
const savePainting = ({ row }, slice) => {
  const slices = { ...paintedRuns(row) }, runs = runsOf(slice);
  if (runs) slices[slice.index] = runs; else delete slices[slice.index];
  setReview(row, { moved: null, painted: Object.keys(slices).length ? { from: row.cells.labels, slices } : null });
};

// Steps to undo and to redo, kept as long as the page is open.
const allSteps = new Map();
const stepsOf = ({ row }, slice) => {
  const key = `${row.key}/${slice.index}`;
  if (!allSteps.has(key)) allSteps.set(key, { done: [], undone: [] });
  return allSteps.get(key);
};
const addStep = (shown, slice, stroke) => {
  const { labels } = slice.decoded.mask, { done, undone } = stepsOf(shown, slice);
  done.push([...stroke].map(([at, label]) => [at, label, labels[at]]));
  undone.length = 0;
};
const takeStep = (shown, slice, isBack) => {
  const { done, undone } = stepsOf(shown, slice), step = (isBack ? done : undone).pop();
  if (!step) return 0;
  for (const [at, before, after] of step) slice.decoded.mask.labels[at] = isBack ? before : after;
  (isBack ? undone : done).push(step);
  return step.length;
};
