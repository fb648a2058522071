// Keys, as the list behind "?" has them; never while a person writes.
const startKeys = (windowing) => {
  const help = byId("help");
  const showHelp = () => { if (!help.open) help.showModal(); };
  byId("help-close").addEventListener("click", () => help.close());
  for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", showHelp);
  const tools = page.kind === "analysis" ? { b: "brush", e: "erase", f: "fill", p: "polygon", v: "view" } : {};
  const toolKeys = Object.fromEntries(Object.entries(tools).map(([key, tool]) => [key, () => setTool(tool)]));
  const inCase = {
    j: () => stepCase(1), ArrowRight: () => stepCase(1), k: () => stepCase(-1), ArrowLeft: () => stepCase(-1),
    ArrowUp: () => stepSlice(1), ArrowDown: () => stepSlice(-1), 0: goHome, a: () => giveVerdict("accept"), r: () => giveVerdict("reject"),
    PageUp: () => stepSlice(1), PageDown: () => stepSlice(-1), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), h: showWhole,
    n: () => byId("beside").click(), ...toolKeys, m: moveLevel, c: () => byId("comment").focus(), w: windowing.nextWindow, o: windowing.toggleOverlay, "?": showHelp,
    z: () => takeBack(true), y: () => takeBack(false), "[": () => setRadius(-0.5), "]": () => setRadius(0.5), l: () => byId("paint-limited").click(),
  };
  for (let label = 1; label < 10; label += 1) inCase[label] = () => setTissue(page.tissues[label - 1]?.label);
  const inTable = {
    j: () => markRow(neighborOf(marked, 1) || marked, true), k: () => markRow(neighborOf(marked, -1) || marked, true),
    "/": () => byId("filter-text").focus(), "?": showHelp,
  };
  const arrowsInTable = { ArrowDown: inTable.j, ArrowUp: inTable.k };
  const writes = (element) => element.matches("textarea, select, input:not([type=checkbox], [type=range])");
  document.addEventListener("keydown", (event) => {
    const { target, key } = event, isUndo = (event.ctrlKey || event.metaKey) && /^[zy]$/i.test(key);
    if (((event.ctrlKey || event.metaKey) && !isUndo) || event.altKey || help.open) return;
    if (writes(target)) {
      if (key === "Escape" && target === byId("comment")) { event.preventDefault(); byId("case-title").focus(); }
      return;
    }
    if (target.matches("input[type=range]") && key.startsWith("Arrow")) return;
    if (isUndo && dialog.open) { event.preventDefault(); takeBack(key.toLowerCase() === "z" && !event.shiftKey); return; }
    if (dialog.open && (target === byId("stage") || key === "Escape") && paintKey(event)) { event.preventDefault(); return; }
    const inRows = target.closest("tbody") && arrowsInTable[key];
    const act = dialog.open ? inCase[key] : inRows || inTable[key];
    if (!act) return;
    event.preventDefault();
    act();
  });
};
