// Legends: what colours, shapes and dashes mean stands once above all panels of a view, for the values that are shown.
const LEGEND_CHANNELS = ["fill", "stroke", "shape", "size", "opacity", "strokeDash", "strokeWidth"];
const SVG = "http://www.w3.org/2000/svg";
const DISCRETE = new Set(["ordinal", "band", "point"]);

/** Takes legends of single values out of a panel, and keeps them with it. Gradients stay where they are. */
function withoutLegends(spec, panel) {
  const scales = new Map((spec.scales ?? []).map((scale) => [scale.name, scale]));
  const isDiscrete = (legend) => LEGEND_CHANNELS.every((channel) => !legend[channel] || DISCRETE.has(scales.get(legend[channel])?.type));
  const taken = (spec.legends ?? []).filter(isDiscrete);
  if (taken.length) {
    spec.legends = spec.legends.filter((legend) => !taken.includes(legend));
    panel.legends = taken.map((legend) => ({ legend, scales: LEGEND_CHANNELS.map((channel) => scales.get(legend[channel])).filter(Boolean) }));
  }
  return spec;
}

/** The legend that a view says itself: a line and a point for each entry. */
function saidLegend(view) {
  const path = (attributes) => {
    const made = document.createElementNS(SVG, "path");
    Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
    return made;
  };
  return make("ul", {}, ...view.legend.map((entry) => {
    const picture = document.createElementNS(SVG, "svg"), color = visible(entry.color, CONTRAST.mark);
    picture.setAttribute("viewBox", "0 0 30 12");
    picture.setAttribute("aria-hidden", "true");
    picture.append(path({ d: "M0,6H30", stroke: color, "stroke-width": entry.outline ? 2.6 : 1.5, "stroke-dasharray": entry.dash.join(" ") || "none" }));
    if (entry.outline) picture.append(path({ d: entry.outline, fill: color, transform: "translate(15 6) scale(4.5)" }));
    return make("li", {}, picture, make("span", { title: entry.words }, entry.words));
  }));
}

/** Values of a legend that stand in the rows; all of them where the rows do not have them as such. */
function legendValues(domain, rows) {
  const wanted = new Set(domain);
  for (const name of Object.keys(rows[0] ?? {})) {
    const present = new Set(rows.map((row) => row[name]));
    if ([...present].every((value) => wanted.has(value))) return domain.filter((value) => present.has(value));
  }
  return domain;
}

/** The legend of a drawing, with its element and a way to end it: the one that is there if it says the same; null for none. */
async function legendOf(view, drawing, old, width, rows) {
  if (view.legend.length) {
    const shape = JSON.stringify(look());
    return old?.shape === shape ? old : { shape, element: folded(saidLegend(view), view.legend.length), end: () => {} };
  }
  const first = drawing.panels.find((panel) => panel.legends.length);
  if (!first) return null;
  paint.font = `12px ${look().font}`;
  const scales = new Map(), legends = [];
  let most = 0;
  for (const each of first.legends) {
    let values = [];
    for (const scale of each.scales) {
      values = first.view.scale(scale.name).domain();
      scales.set(scale.name, { ...scale, domain: values, sort: undefined });
    }
    values = legendValues(values, rows);
    const widest = Math.min(320, Math.max(0, ...values.map((value) => paint.measureText(String(value)).width)));
    most = Math.max(most, values.length);
    legends.push({ ...each.legend, values, orient: "top", columns: Math.max(1, Math.min(values.length, Math.floor(width / (widest + 44)))), labelLimit: Math.max(80, Math.min(320, width - 50)) });
  }
  const spec = { $schema: "https://vega.github.io/schema/vega/v6.json", width: Math.max(100, width - 20), height: 1, scales: [...scales.values()], legends, layout: null };
  const shape = JSON.stringify([spec, look()]);
  if (old?.shape === shape) return old;
  const canvas = make("div", { class: "drawn", "aria-hidden": "true" });
  const result = await vegaEmbed(canvas, spec, { ...drawOptions(), mode: "vega", renderer: "svg" });
  return { shape, element: folded(canvas, most), end: () => result.finalize() };
}

/** A long legend scrolls. */
const folded = (element, entries) => (entries > 12 ? make("div", { class: "long", tabindex: "0", role: "group", "aria-label": "Legend" }, element) : element);
