// Where rows stand in a drawing: found in Vega's scene, so that hover, keyboard and marking work for every kind of chart.
const NEAR = 28; // pixels from the pointer to what it means

/** Every mark of a drawing with its middle, its size and its datum. */
function pointsOf(view) {
  const found = [];
  collect(view.scenegraph().root, 0, 0, found);
  return found;
}

function collect(mark, left, top, found) {
  if (/^(axis|legend|title)/.test(mark.role ?? "")) return;
  for (const item of mark.items ?? []) {
    const x = left + (item.x ?? 0), y = top + (item.y ?? 0);
    if (mark.marktype === "group") { item.items?.forEach((inner) => collect(inner, x, y, found)); continue; }
    if (!item.datum || mark.marktype === "text" || !Number.isFinite(x) || !Number.isFinite(y)) continue;
    const box = mark.marktype === "rect" ? { w: item.width ?? 0, h: item.height ?? 0 } : { w: 0, h: 0 };
    const symbol = mark.marktype === "symbol" ? 4 : 0;
    found.push({ x: x + box.w / 2, y: y + box.h / 2, w: box.w, h: box.h, datum: item.datum, row: item.datum._row, said: item.tooltip, rank: box.w ? 2 : symbol ? 3 : 1 });
  }
}

function offsetOf(panel) {
  const padding = panel.view.padding(), origin = panel.view.origin();
  return [(padding.left ?? padding) + origin[0], (padding.top ?? padding) + origin[1]];
}

/** The mark that the pointer means: the one it is in, or else the nearest; a row comes before a mean of rows. */
function nearest(panel, event) {
  const box = panel.canvas.getBoundingClientRect(), [left, top] = offsetOf(panel);
  const x = event.clientX - box.left - left, y = event.clientY - box.top - top;
  let best = null, least = NEAR;
  for (const point of pointsIn(panel)) {
    const away = Math.hypot(Math.max(0, Math.abs(x - point.x) - point.w / 2), Math.max(0, Math.abs(y - point.y) - point.h / 2)) + (point.row === undefined ? 5 : 0);
    if (away < least || (away === least && best && point.rank > best.rank)) { best = point; least = away; }
  }
  return best;
}

/** The mark of a row in a drawing; where rows are drawn as means only, the mean that it is part of. */
function pointOf(view, drawing, row) {
  let best = null;
  for (const panel of drawing.panels) {
    for (const point of pointsIn(panel)) if (point.row === row._row && (!best || point.rank > best.point.rank)) best = { panel, point };
  }
  if (best) return best;
  for (const panel of drawing.panels.filter((each) => !view.panelBy || each.name === row[view.panelBy])) {
    const point = pointsIn(panel).find((each) => each.row === undefined && view.keyboard.some((name) => name in each.datum)
      && view.keyboard.every((name) => !(name in each.datum) || each.datum[name] === row[name]));
    if (point) return { panel, point };
  }
  return null;
}

/** Draws a frame around one mark. */
function ringAt(panel, point, kind) {
  const [left, top] = offsetOf(panel), ring = make("div", { class: `ring ${kind}` });
  const width = Math.max(14, point.w), height = Math.max(14, point.h);
  Object.assign(ring.style, { left: `${panel.canvas.offsetLeft + left + point.x - width / 2}px`, top: `${panel.canvas.offsetTop + top + point.y - height / 2}px`, width: `${width}px`, height: `${height}px` });
  panel.element.append(ring);
}

/** Marks what the reader has selected (a layer) in a view that shows it among others. */
function showMarked(view) {
  const drawing = drawings.get(view.name);
  if (!drawing) return;
  for (const panel of drawing.panels) {
    panel.element.querySelectorAll(".band").forEach((band) => band.remove());
    if (marksLayer(view) && panel.view.signal(CHOSEN_LAYER) !== chosenLayer()) {
      panel.view.signal(CHOSEN_LAYER, chosenLayer()).run();
      panel.points = null;
    }
    for (const [name, [value]] of selected()) {
      if ((name === "layer" && marksLayer(view)) || !tables.get(view.table).has(name) || view.filters.includes(name)) continue;
      const points = pointsIn(panel).filter((point) => point.datum[name] === value);
      if (points.length) bandAround(panel, points);
    }
  }
}

/** Filters that a click sets, with the one value that is chosen. */
function selected() {
  const names = new Set([...views.values()].flatMap((view) => Object.keys(view.selects)));
  return [...names].map((name) => [name, state.chosen.get(name) ?? []]).filter(([, values]) => values.length === 1);
}

function bandAround(panel, points) {
  const [left, top] = offsetOf(panel), width = panel.view.width(), height = panel.view.height();
  const xs = points.map((point) => point.x), ys = points.map((point) => point.y);
  const upright = Math.max(...xs) - Math.min(...xs) < 1, level = Math.max(...ys) - Math.min(...ys) < 1;
  const w = upright ? Math.max(6, ...points.map((point) => point.w)) : width, h = !upright && level ? Math.max(6, ...points.map((point) => point.h)) : height;
  if (!upright && !level) { points.slice(0, 200).forEach((point) => { ringAt(panel, point, "band"); }); return; }
  const band = make("div", { class: "band" });
  Object.assign(band.style, { left: `${panel.canvas.offsetLeft + left + (upright ? xs[0] - w / 2 : 0)}px`, top: `${panel.canvas.offsetTop + top + (upright ? 0 : ys[0] - h / 2)}px`, width: `${w}px`, height: `${h}px` });
  panel.element.append(band);
}
