// Keys, as the list behind "?" has them; never while a person writes.
const startKeys = (tools) => {
  const help = byId("help");
  const showHelp = () => { if (!help.open) help.showModal(); };
  byId("help-close").addEventListener("click", () => help.close());
  for (const button of document.querySelectorAll("[data-help]")) button.addEventListener("click", showHelp);
  const inCase = {
    j: () => stepCase(1), ArrowRight: () => stepCase(1), k: () => stepCase(-1), ArrowLeft: () => stepCase(-1),
    ArrowUp: () => stepSlice(1), ArrowDown: () => stepSlice(-1), 0: goHome, a: () => giveVerdict("accept"), r: () => giveVerdict("reject"),
    m: moveLevel, c: () => byId("comment").focus(), w: tools.nextWindow, o: tools.toggleOverlay, "?": showHelp,
  };
  const inTable = {
    j: () => markRow(neighborOf(marked, 1) || marked, true), k: () => markRow(neighborOf(marked, -1) || marked, true),
    "/": () => byId("filter-text").focus(), "?": showHelp,
  };
  const arrowsInTable = { ArrowDown: inTable.j, ArrowUp: inTable.k };
  const writes = (element) => element.matches("textarea, select, input:not([type=checkbox], [type=range])");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const { target, key } = event;
    if (writes(target)) {
      if (key === "Escape" && target === byId("comment")) { event.preventDefault(); byId("case-title").focus(); }
      return;
    }
    if (target.matches("input[type=range]") && key.startsWith("Arrow")) return;
    const inRows = target.closest("tbody") && arrowsInTable[key];
    const act = dialog.open ? inCase[key] : inRows || inTable[key];
    if (!act) return;
    event.preventDefault();
    act();
  });
};
