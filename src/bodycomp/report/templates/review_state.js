// What the reviewer said, kept in this browser under the run, case by case.
const storeKey = `bodycomp-review:${page.run}`, reviewerKey = "bodycomp-reviewer";
const kept = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
let canKeep = true;
const keep = (key, text) => {
  try { localStorage.setItem(key, text); } catch {
    if (canKeep) announce("This browser keeps nothing: export your review before you close the page.");
    canKeep = false;
  }
};
const readReviews = () => { try { return JSON.parse(kept(storeKey)) || {}; } catch { return {}; } };
const reviews = readReviews();
const reviewOf = (row) => reviews[row.key] || {};
const wasReviewed = (row) => Boolean(reviewOf(row).verdict);
const isMoved = (review) => isNumber(review.moved);

const nowWithOffset = () => {
  const now = new Date(), minutes = -now.getTimezoneOffset(), pad = (n) => String(Math.trunc(Math.abs(n))).padStart(2, "0");
  const local = new Date(now.getTime() + minutes * 60000).toISOString().slice(0, 19);
  return `${local}${minutes < 0 ? "-" : "+"}${pad(minutes / 60)}:${pad(minutes % 60)}`;
};

const setReview = (row, changes) => {
  const review = { ...reviewOf(row), ...changes, at: nowWithOffset(), reviewer: byId("reviewer")?.value.trim() || "" };
  // A rejected case is not measured, so that it cannot be moved as well. What was painted is kept, and not measured.
  if (changes.verdict === "reject") review.moved = null;
  if (isNumber(changes.moved) && review.verdict === "reject") review.verdict = "";
  reviews[row.key] = review;
  saveReviews([row]);
};
const saveReviews = (changed) => {
  keep(storeKey, JSON.stringify(reviews));
  for (const row of changed) document.dispatchEvent(new CustomEvent("reviewed", { detail: row }));
  showProgress();
};

const showProgress = () => {
  if (!byId("review-count")) return;
  const done = rows.filter(wasReviewed).length;
  byId("review-count").textContent = `${done} of ${rows.length} reviewed`;
  byId("review-share").value = rows.length ? done / rows.length : 0;
};

const startReview = () => {
  const reviewer = byId("reviewer");
  reviewer.value = kept(reviewerKey) || "";
  reviewer.addEventListener("change", () => keep(reviewerKey, reviewer.value.trim()));
  byId("export").addEventListener("click", exportReview);
  byId("import").addEventListener("click", () => byId("import-file").click());
  byId("import-file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) importReview(await file.text());
    event.target.value = "";
  });
  showProgress();
};
