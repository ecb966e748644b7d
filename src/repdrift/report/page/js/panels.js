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
    old.view.data("rows", rows).resize().run();
    old.points = null;
    return old;
  } catch (fault) {
    console.warn(`A panel of ${view.name} is drawn anew:`, fault);
    return newPanel(view, name, rows, spec, shape, renderer);
  }
}

async function newPanel(view, name, rows, spec, shape, renderer) {
  const canvas = make("div", { class: Object.keys(view.selects).length ? "drawn selects" : "drawn", "aria-hidden": "true" });
  const element = make("div", { class: "panel" }, name === "" ? null : make("p", { class: "panel-title" }, optionWords(view.panelBy, name)), canvas);
  const panel = { name, element, canvas, shape, legends: [], points: null };
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
