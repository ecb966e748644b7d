// The table of models: each row unfolds to its metadata, its curves and the commands that make it again.
const runs = new Table(page.runs.table);
const curves = page.runs.curves && new Table(page.runs.curves);
let runTable = null;

/** Filters of several values that the models have as well; others, such as a measure, say nothing about a model. */
function runFilters() {
  return [...filters.values()].filter((filter) => {
    const values = filter.options.map((option) => option[0]);
    return filter.several && runs.has(filter.column) && runs.distinct(filter.column).some((value) => values.includes(value));
  }).map((filter) => filter.column);
}

function buildRuns() {
  const columns = Object.entries(page.runs.columns), place = document.getElementById("run-table");
  if (!columns.length || !runs.count) return;
  const names = runFilters();
  const below = page.runs.details.length || curves ? belowRun : null;
  runTable = dataTable({ name: "models", title: "Models", columns, below, digits: 4, rows: () => runs.places(allowedIn(names)).map((at) => runs.row(at)) });
  place.replaceChildren(runTable);
}

function showRuns() { runTable?.show(); }

function openModel(place) {
  if (!(place < runs.count)) return;
  state.opened.add(place);
  state.finds.delete("models");
  changed();
  goTo(`model-${place}`);
}

const unfolded = new Map(); // what is below a row, kept so that a sorted table does not draw its curves anew

function belowRun(row) {
  const key = `${row._row} ${isDark()}`;
  if (!unfolded.has(key)) unfolded.set(key, detailsOf(row));
  return unfolded.get(key);
}

function detailsOf(row) {
  const parts = Object.entries(page.runs.details[row._row] ?? {}).flatMap(([heading, text]) => {
    const isCode = /^command/i.test(heading) || text.includes("\n");
    return [make("dt", {}, heading), make("dd", {}, ...(isCode ? [copyButton(() => text, heading), make("pre", { tabindex: "0" }, text)] : prose(text)))];
  });
  const element = make("div", { class: "details" }, make("dl", {}, ...parts));
  const own = curves ? curves.places([["row", [row._row]]]).map((place) => curves.row(place)).filter((each) => each.value !== null) : [];
  if (own.length) {
    const place = make("div", { class: "curves" });
    element.append(place);
    drawCurves(place, own);
  } else if (curves) element.append(make("p", { class: "soft" }, "No losses were kept for this model."));
  return element;
}

/** One small chart for each curve, for their units differ. */
async function drawCurves(place, rows) {
  for (const name of new Set(rows.map((row) => row.name))) {
    const part = rows.filter((row) => row.name === name), last = part[part.length - 1];
    const canvas = make("div", { "aria-hidden": "true" });
    place.append(make("figure", {}, make("figcaption", {}, `${name}: ${shownValue(part[0].value)} at step ${part[0].step}, ${shownValue(last.value)} at step ${last.step}`), canvas));
    const mark = { type: "line", point: part.length < 40, strokeWidth: 1.8 };
    await vegaEmbed(canvas, {
      data: { values: part }, width: 240, height: 110, autosize: { type: "fit-x", contains: "padding" }, mark,
      encoding: { x: { field: "step", type: "quantitative", title: "step", axis: { tickCount: 4 } }, y: { field: "value", type: "quantitative", title: null, scale: { zero: false }, axis: { tickCount: 4 } } },
    }, { ...drawOptions(), renderer: "svg" });
  }
}
