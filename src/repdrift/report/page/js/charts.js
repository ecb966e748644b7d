// Charts: each view is drawn again from its filtered rows whenever the state changes. Views out of sight wait until they are near.
const views = new Map(page.views.map((view) => [view.name, view]));
const dark = matchMedia("(prefers-color-scheme: dark)");
const waiting = new Set();
const near = new Set();
const turns = new Map();
const shownCharts = new Map();

function look() {
  const ink = dark.matches ? "#ececef" : "#1c1c1e", soft = dark.matches ? "#aaaab2" : "#5a5a61", line = dark.matches ? "#3a3a40" : "#dcdce0";
  return {
    background: null, font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: { labelColor: soft, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 600 },
    legend: { labelColor: ink, titleColor: ink, labelFontSize: 12, orient: "top", labelLimit: 400, columns: 3 },
    title: { color: ink, anchor: "start", fontSize: 13 },
    text: { color: ink }, header: { labelColor: ink, titleColor: ink },
  };
}

function walk(node, visit) {
  if (Array.isArray(node)) node.forEach((part) => walk(part, visit));
  else if (node && typeof node === "object") { visit(node); Object.values(node).forEach((part) => walk(part, visit)); }
}

function drawnSpec(view, rows, all, title) {
  const spec = structuredClone(view.spec);
  spec.width = "container";
  spec.autosize = { type: "fit-x", contains: "padding" };
  spec.data = { name: "rows" };
  spec.datasets = { rows };
  if (title) spec.title = title;
  // A chart with one row of cells for each value of a column is as high as it has rows; Vega-Lite gives such a chart no width to fill.
  const rowsBy = spec.usermeta?.rowsBy;
  if (rowsBy) spec.height = spec.height.step * new Set(rows.map((row) => row[rowsBy])).size;
  spec.params?.filter((each) => each.name === "chosen_layer").forEach((each) => { each.value = state.chosen.get("layer")?.[0] ?? null; });
  const domains = new Map(view.oneScale.map((name) => [name, range(all, name)]));
  const aboveZero = new Map(view.oneScale.map((name) => [name, rangeAboveZero(all, name)]));
  walk(spec, (node) => {
    if (Array.isArray(node.range)) node.range = node.range.map((each) => themed(each));
    if (view.legend.length && node.legend) node.legend = null;
    if (!node.field || !node.type) return;
    const logarithmic = (view.logFields.includes(node.field) && state.log.has(view.name)) || node.scale?.type === "log";
    const domain = (logarithmic ? aboveZero : domains).get(node.field);
    if (logarithmic) node.scale = { ...node.scale, type: "log", zero: undefined };
    if (domain) node.scale = { ...node.scale, domain };
  });
  return spec;
}

function range(rows, name) {
  const known = rows.map((row) => row[name]).filter((value) => value !== null && value !== undefined);
  return known.length ? known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, known[0]]) : null;
}

// A scale of logarithms: at most four decades below its largest value.
function rangeAboveZero(rows, name) {
  const known = rows.map((row) => row[name]).filter((value) => value > 0);
  if (!known.length) return null;
  const high = known.reduce((a, b) => Math.max(a, b)), low = known.reduce((a, b) => Math.min(a, b));
  return [Math.max(low, high / 1e4), high];
}

function panelsOf(view, rows) {
  if (!view.panelBy) return [["", rows]];
  const panels = new Map();
  rows.forEach((row) => panels.set(row[view.panelBy], [...(panels.get(row[view.panelBy]) ?? []), row]));
  return [...panels];
}

async function draw(view) {
  const place = document.querySelector(`.chart[data-view="${CSS.escape(view.name)}"]`);
  const rows = tableRows(view.table).filter((row) => keeps(view, row));
  // A drawing that a newer one has overtaken stops; charts that are taken away let go of what they listen to.
  const turn = (turns.get(view.name) ?? 0) + 1, charts = [];
  turns.set(view.name, turn);
  shownCharts.get(view.name)?.forEach((chart) => chart.finalize());
  shownCharts.set(view.name, charts);
  place.ariaBusy = "true";
  place.replaceChildren();
  if (!rows.length) place.textContent = "No model, layer or measure is left by what is chosen above.";
  const panels = rows.length ? panelsOf(view, rows) : [];
  if (rows.length && view.legend.length) place.append(legendOf(view));
  for (const [name, part] of panels) {
    const panel = document.createElement("div");
    panel.className = "panel";
    place.append(panel);
    const drawn = await vegaEmbed(panel, drawnSpec(view, part, rows, name === null ? "" : String(name)), {
      actions: false, renderer: "svg", ast: true, config: look(), tooltip: { theme: dark.matches ? "dark" : "light" },
    });
    if (turns.get(view.name) !== turn) { drawn.finalize(); return; }
    charts.push(drawn);
    for (const [filter, field] of Object.entries(view.selects)) {
      drawn.view.addEventListener("click", (event, item) => {
        const value = item?.datum?.[field];
        if (value !== undefined && value !== null) choose(filter, [value]);
      });
    }
  }
  place.dataset.drawn = String(rows.length);
  place.ariaBusy = "false";
}

function drawAll() {
  views.forEach((view) => (near.has(view.name) ? draw(view) : waiting.add(view.name)));
}

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const name = entry.target.dataset.view;
    if (!entry.isIntersecting) { near.delete(name); continue; }
    near.add(name);
    if (waiting.delete(name)) draw(views.get(name));
  }
}, { rootMargin: "400px" });
