(() => {
  const body = document.body, all = (query) => [...document.querySelectorAll(query)];
  const opacity = document.getElementById("opacity");
  const dim = () => body.style.setProperty("--overlay", opacity.value / 100);
  if (opacity) { opacity.addEventListener("input", dim); dim(); }
  for (const box of all("[data-tissue]"))
    box.addEventListener("change", () => body.classList.toggle("hide-" + box.dataset.tissue, !box.checked));
  const chooser = document.getElementById("split");
  if (chooser) chooser.addEventListener("change", () => {
    for (const sample of all(".sample")) sample.hidden = chooser.value !== "" && sample.dataset.split !== chooser.value;
  });
  const dialog = document.getElementById("viewer");
  if (!dialog) return;
  const stage = dialog.querySelector(".stage"), words = dialog.querySelector(".caption");
  let shown = null;
  const open = (sample) => {
    shown = sample;
    stage.replaceChildren(sample.querySelector(".picture").cloneNode(true));
    words.innerHTML = sample.querySelector(".caption").innerHTML;
    if (!dialog.open) dialog.showModal();
  };
  const step = (by) => {
    const visible = all(".sample:not([hidden])"), place = visible.indexOf(shown) + by;
    if (visible[place]) open(visible[place]);
  };
  for (const sample of all(".sample")) sample.querySelector("button").addEventListener("click", () => open(sample));
  for (const link of all("a[data-sample]")) link.addEventListener("click", (event) => {
    const sample = document.getElementById(link.dataset.sample);
    if (sample) { event.preventDefault(); sample.hidden = false; open(sample); }
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.querySelector("[data-back]").addEventListener("click", () => step(-1));
  dialog.querySelector("[data-on]").addEventListener("click", () => step(1));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => shown && shown.querySelector("button").focus());
  document.addEventListener("keydown", (event) => {
    if (!dialog.open) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
})();
