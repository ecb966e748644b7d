// Panels: the drawings of a view side by side. Where only rows, width, height or the ends of scales change, a panel stays and takes the new ones.
const MOST_SVG = 4000; // rows of a panel that are drawn as elements; more of them are drawn as pixels

/** The panel of these rows: the one that is there, with new rows, if nothing else has changed; or else a new one. */
async function panelOf(view, old, name, rows, made, width) {
  const renderer = rows.length > MOST_SVG ? "canvas" : "svg", spec = drawnSpec(view, rows, made, width);
  const shape = JSON.stringify([renderer, look(), { ...spec, width: 0, height: 0, datasets: 0, params: (spec.params ?? []).map((param) => param.name) }]);
  if (old?.shape !== shape) return newPanel(view, name, rows, spec, shape, renderer);
  try {
    for (const param of spec.params ?? []) old.view.signal(param.name, param.value);
    if (spec.width) old.view.width(spec.width);
    if (typeof spec.height === "number") old.view.height(spec.height);
    replaceRows(old, rows);
    if (old.width !== spec.width || old.height !== spec.height) old.view.resize();
    old.view.run();
    Object.assign(old, { rows, width: spec.width, height: spec.height, points: null });
    return old;
  } catch (fault) {
    console.warn(`A panel of ${view.name} is drawn anew:`, fault);
    return newPanel(view, name, rows, spec, shape, renderer);
  }
}

/** Gives a panel other rows. Where some of its rows only leave, the others keep their marks; in all other cases the order of the table counts. */
function replaceRows(panel, rows) {
  const kept = new Set(rows.map((row) => row._row)), gone = panel.rows.filter((row) => !kept.has(row._row)).length;
  if (gone + kept.size > panel.rows.length) panel.view.data("rows", rows);
  else if (gone) panel.view.remove("rows", (row) => !kept.has(row._row));
}

async function newPanel(view, name, rows, spec, shape, renderer) {
  const canvas = make("div", { class: Object.keys(view.selects).length ? "drawn selects" : "drawn", "aria-hidden": "true" });
  const element = make("div", { class: "panel" }, name === "" ? null : make("p", { class: "panel-title" }, optionWords(view.panelBy, name)), canvas);
  const panel = { name, element, canvas, shape, legends: [], points: null, rows, width: spec.width, height: spec.height };
  const result = await vegaEmbed(canvas, { ...spec, datasets: { ...spec.datasets, rows } }, { ...drawOptions(), renderer, patch: (compiled) => withoutLegends(compiled, panel) });
  panel.view = result.view;
  panel.end = () => result.finalize();
  canvas.addEventListener("pointermove", (event) => hover(view, panel, event));
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("click", (event) => hit(view, panel, event));
  return panel;
}

function drawOptions() {
  return { actions: false, ast: true, hover: false, defaultStyle: false, config: look(), tooltip: () => {}, logLevel: 1 };
}

/** The marks of a panel; found when they are asked for, since few panels are. */
function pointsIn(panel) {
  panel.points ??= pointsOf(panel.view);
  return panel.points;
}
