// Draws everything once, then whenever the state, the fragment or the colour scheme changes.
readFragment();
drawFilters();
drawRuns();
listeners.push(drawFilters, drawAll);
views.forEach((view) => waiting.add(view.name));
document.querySelectorAll(".chart[data-view]").forEach((place) => watcher.observe(place));
addEventListener("hashchange", () => { readFragment(); drawFilters(); drawAll(); });
dark.addEventListener("change", drawAll);
