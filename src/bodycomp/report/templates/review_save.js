// A page that bodycomp review serve gives saves its review there, case by case.
let isSaved = true, saving = null;
const saveReview = async () => {
  if (isSaved || !page.saves) return;
  isSaved = true;
  const words = byId("saved"), token = new URLSearchParams(location.search).get("token") || "";
  words.textContent = "saving\u2026";
  try {
    await saving;
    saving = fetch("review", { method: "POST", body: reviewTable(), headers: { "Content-Type": "text/csv", "X-Review-Key": token } });
    const answer = await saving, said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    words.textContent = said.waiting ? `saved; ${said.waiting} cases wait for their scans` : "saved";
  } catch (error) {
    isSaved = false;
    words.textContent = `not saved: ${error.message}`;
  }
  announce(words.textContent);
};
const startSaving = () => {
  if (!page.saves) return;
  byId("save").hidden = false;
  for (const link of document.querySelectorAll("nav a")) link.href += location.search;
  byId("save").addEventListener("click", saveReview);
  document.addEventListener("reviewed", () => { isSaved = false; byId("saved").textContent = "not saved yet"; });
  dialog.addEventListener("close", saveReview);
  addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });
};
