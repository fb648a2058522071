// All parts are there: begin.
if (byId("table")) {
  startReview();
  startTable();
  startKeys(startViewer());
  startSaving();
}
startPlots();
