// Pictures of slices: decoded once per case, then windowed and colored in a canvas.
const windows = [["soft tissue 40 / 400", 40, 400], ["muscle 50 / 200", 50, 200], ["fat \u2212100 / 200", -100, 200], ["all that is kept", null, null]];
const [lowest, highest] = page.picture_hu;
const look = { level: 40, width: 400, opacity: 0.45, outline: false, truth: true, hidden: new Set() };
const tissueOf = new Map(page.tissues.map((tissue) => [tissue.label, tissue]));
const colorOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const tintOf = new Map(page.tissues.map((tissue) => [tissue.label, colorOf(tissue.color)]));
const truthColor = [255, 95, 210];

const graysOf = async (base64) => {
  const image = new Image();
  image.src = `data:image/webp;base64,${base64}`;
  await image.decode();
  const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  const gray = new Uint8Array(width * height);
  for (let at = 0; at < gray.length; at += 1) gray[at] = data[4 * at];
  return { gray, width, height };
};
const labelsOf = async (base64, step) => {
  if (!base64) return null;
  const { gray, width, height } = await graysOf(base64);
  return { labels: gray.map((value) => Math.round(value / step)), width, height };
};
// The labels of a measured slice are as painted; "before" has those that the page came with.
const decodeSlice = async (slice, row) => {
  if (!slice.decoded) {
    const step = slice.mask_step || page.mask_step;  // cases of earlier versions do not say it
    const [picture, mask, truth] = await Promise.all([graysOf(slice.picture), labelsOf(slice.mask, step), labelsOf(slice.truth, step)]);
    slice.decoded = { ...picture, mask, truth, before: isMeasured(slice) ? mask.labels.slice() : null };
    if (isMeasured(slice)) takeRuns(slice, paintedRuns(row)[slice.index]);
  }
  return slice.decoded;
};

const huOf = (gray) => lowest + (gray / 255) * (highest - lowest);
const shades = () => {
  const table = new Uint8ClampedArray(256), low = look.level - look.width / 2;
  for (let gray = 0; gray < 256; gray += 1) table[gray] = (255 * (huOf(gray) - low)) / look.width;
  return table;
};
const atEdge = (labels, width, at) => {
  const label = labels[at];
  return labels[at - 1] !== label || labels[at + 1] !== label || labels[at - width] !== label || labels[at + width] !== label;
};
const paintMask = (pixels, { labels, width }, { fillAlpha, edgeAlpha, color, edgeWhere }) => {
  for (let at = 0; at < labels.length; at += 1) {
    const label = labels[at], tissue = tissueOf.get(label);
    if (!tissue || look.hidden.has(tissue.key)) continue;
    const alpha = edgeWhere && atEdge(labels, width, at) ? edgeAlpha : fillAlpha;
    if (!alpha) continue;
    const tint = color || tintOf.get(label);
    for (let part = 0; part < 3; part += 1) pixels[4 * at + part] += alpha * (tint[part] - pixels[4 * at + part]);
  }
};
const paintSlice = (canvas, picture) => {
  const { gray, width, height, mask, truth } = picture, table = shades();
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height), pixels = image.data;
  for (let at = 0; at < gray.length; at += 1) {
    pixels[4 * at] = pixels[4 * at + 1] = pixels[4 * at + 2] = table[gray[at]];
    pixels[4 * at + 3] = 255;
  }
  if (mask) {
    const style = look.outline ? { fillAlpha: 0, edgeAlpha: Math.min(1, 2 * look.opacity), edgeWhere: true } : { fillAlpha: look.opacity };
    paintMask(pixels, mask, style);
  }
  if (truth && look.truth) paintMask(pixels, truth, { fillAlpha: 0, edgeAlpha: 1, edgeWhere: true, color: truthColor });
  canvas.getContext("2d").putImageData(image, 0, 0);
};

const startLook = (repaint) => {
  const level = byId("window-level"), width = byId("window-width"), preset = byId("preset");
  level.min = lowest; level.max = highest; width.max = highest - lowest;
  preset.append(...windows.map(([name], at) => make("option", { value: at }, name)), make("option", { value: "", disabled: true }, "own"));
  const show = () => {
    level.value = look.level; width.value = look.width;
    byId("level-out").textContent = `${inDigits(look.level, 0)} HU`;
    byId("width-out").textContent = `${inDigits(look.width, 0)} HU`;
    preset.value = windows.findIndex((one) => one[1] === look.level && one[2] === look.width);
    if (preset.selectedIndex < 0) preset.value = "";
    repaint();
  };
  windows.at(-1).splice(1, 2, (lowest + highest) / 2, highest - lowest);
  const set = (changes) => { Object.assign(look, changes); show(); };
  preset.addEventListener("change", () => set({ level: windows[preset.value][1], width: windows[preset.value][2] }));
  level.addEventListener("input", () => set({ level: Number(level.value) }));
  width.addEventListener("input", () => set({ width: Number(width.value) }));
  byId("opacity").addEventListener("input", (event) => set({ opacity: event.target.value / 100 }));
  byId("outline").addEventListener("change", (event) => set({ outline: event.target.checked }));
  byId("truth").addEventListener("change", (event) => set({ truth: event.target.checked }));
  byId("tissue-boxes").append(...page.tissues.map((tissue) => {
    const box = make("input", { type: "checkbox", checked: true, "data-tissue": tissue.key });
    box.addEventListener("change", () => { look.hidden[box.checked ? "delete" : "add"](tissue.key); repaint(); });
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = tissue.color;
    return make("label", { "data-tissue": tissue.key }, box, swatch, tissue.title);
  }));
  show();
  return {
    nextWindow: () => { const [name, own, wide] = windows[(Number(preset.value || -1) + 1) % windows.length]; set({ level: own, width: wide }); announce(`Window ${name}`); },
    toggleOverlay: () => { const on = look.opacity > 0; byId("opacity").value = on ? 0 : 45; set({ opacity: on ? 0 : 0.45 }); },
  };
};
