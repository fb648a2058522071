// Measurements of what was painted: the command's, and what the changed pixels add to them and take away. Areas are
// exact; attenuation is as exact as the picture, and only the changed pixels are taken from it.
const hasPainting = ({ data }) => data.slices.some(({ decoded }) => decoded?.before && decoded.mask.labels.some((label, at) => label !== decoded.before[at]));
const grayCounts = (slices, labels, of) => {
  const counts = new Float64Array(256);
  for (const { decoded } of slices) of(decoded).forEach((own, at) => { if (labels.has(own)) counts[decoded.gray[at]] += 1; });
  return counts;
};
const sumOver = (counts, value) => counts.reduce((sum, count, gray) => sum + count * value(huOf(gray)), 0);
const middleOf = (counts) => {
  const half = counts.reduce((sum, count) => sum + count, 0) / 2, width = huOf(1) - huOf(0);
  let below = 0;
  for (let gray = 0; gray < 256; gray += 1) {
    if (below + counts[gray] > half) return huOf(gray - 0.5) + (width * (half - below)) / counts[gray];
    below += counts[gray];
  }
  return null;
};
const paintedCells = ({ data }, all) => {
  const slices = data.slices.filter(({ decoded }) => decoded?.before), cells = {};
  const { row_mm: tall, column_mm: wide } = slices[0].grid, cm2 = (tall * wide) / 100 / (all.slices_measured || 1);
  for (const { key, label, parts, hu_range: [low, high] } of page.tissues.filter((tissue) => data.tissues.includes(tissue.key))) {
    const own = new Set([label, ...parts]);  // a muscle's groups are muscle
    const before = grayCounts(slices, own, (decoded) => decoded.before), now = grayCounts(slices, own, ({ mask }) => mask.labels);
    const more = now.map((count, gray) => count - before[gray]);
    if (!more.some(Boolean) && !slices.some(({ decoded }) => decoded.before.some((one, at) => own.has(one) !== own.has(decoded.mask.labels[at])))) continue;
    const had = Math.round((all[`${key}_area_cm2`] || 0) / cm2), count = had + sumOver(more, () => 1);
    const set = (name, value) => { cells[`${key}_${name}`] = value; };
    for (const name of Object.keys(all)) if (name.startsWith(`${key}_`)) set(name.slice(key.length + 1), null);
    set("area_cm2", count * cm2);
    set("hu_range_area_cm2", count ? (all[`${key}_hu_range_area_cm2`] || 0) + cm2 * sumOver(more, (hu) => Number(Math.round(hu) >= low && Math.round(hu) <= high)) : 0);
    // How far pixels lie beyond the grays is not known here: rather no attenuation than a wrong one.
    if (!count || more[0] || more[255]) continue;
    const mean = all[`${key}_mean_hu`] || 0, square = had * ((all[`${key}_sd_hu`] || 0) ** 2 + mean ** 2) + sumOver(more, (hu) => hu ** 2);
    set("mean_hu", (had * mean + sumOver(more, (hu) => hu)) / count);
    set("sd_hu", Math.sqrt(Math.max(0, square / count - cells[`${key}_mean_hu`] ** 2)));
    set("median_hu", (all[`${key}_median_hu`] ?? middleOf(now)) + (had ? middleOf(now) - middleOf(before) : 0));
  }
  return cells;
};
