// Builds the page once; after that every change of the state, the fragment, the width or the colours is shown.
function showAll() {
  showTheme();
  showFilters();
  showRuns();
  valueTables.forEach((table) => { if (table.closest("details").open) table.show(); });
  views.forEach((view) => { showMarked(view); if (drawings.has(view.name)) showNotes(view); });
  drawSoon();
}

document.documentElement.classList.add("runs");
document.body.append(tip);
readFragment();
buildTools();
buildFilters();
buildRuns();
buildDownloads();
buildCharts();
listeners.push(showAll);
showAll();
for (const event of ["hashchange", "popstate"]) addEventListener(event, () => { readFragment(); showAll(); });
darkSystem.addEventListener("change", showAll);
// A fragment that names a part of the page leads there.
goTo(decodeURIComponent(/^[\w-]+$/.exec(location.hash.slice(1))?.[0] ?? ""));
