// From a view's specification to the one that is drawn: colours for the scheme, one scale for all panels, linear or logarithmic.
const CONTRAST = { mark: 3, text: 4.5 };
const paint = document.createElement("canvas").getContext("2d");

function look() {
  const dark = isDark();
  const ink = dark ? "#ececef" : "#1c1c1e", soft = dark ? "#b4b4bd" : "#55555c", line = dark ? "#34343b" : "#e4e4e8";
  const font = "system-ui, -apple-system, 'Segoe UI', sans-serif";
  return {
    background: null, font, aria: false, padding: { left: 4, top: 4, right: 16, bottom: 4 },
    view: { stroke: null },
    mark: { color: dark ? "#6aaee8" : "#0b5cad" }, rule: { color: soft }, tick: { color: soft }, text: { color: ink }, line: { strokeWidth: 2 },
    axis: { labelColor: soft, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 600, labelLimit: 200, titlePadding: 8 },
    legend: { labelColor: ink, titleColor: ink, labelFontSize: 12, titleFontSize: 12, orient: "top", labelLimit: 320, symbolOpacity: 1, symbolStrokeWidth: 2.5, gradientLength: 160 },
    title: { color: ink, anchor: "start", fontSize: 13 }, header: { labelColor: ink, titleColor: ink },
  };
}

function walk(node, visit) {
  if (Array.isArray(node)) node.forEach((part) => walk(part, visit));
  else if (node && typeof node === "object") { visit(node); Object.values(node).forEach((part) => walk(part, visit)); }
}

/** Visits each unit with all of its encodings, those of the layers around it included. */
function units(spec, visit, around = {}) {
  const encoding = { ...around, ...spec.encoding };
  if (spec.layer) {
    delete spec.encoding;
    spec.layer.forEach((part) => units(part, visit, encoding));
  } else if (spec.mark) {
    spec.encoding = encoding;
    visit(spec);
  } else [...(spec.hconcat ?? []), ...(spec.vconcat ?? []), ...(spec.concat ?? []), ...(spec.spec ? [spec.spec] : [])].forEach((part) => units(part, visit, encoding));
}

const AVERAGES = new Set([undefined, "mean", "average", "median", "min", "max", "q1", "q3"]);
const baseChannel = (channel) => channel.replace(/2$/, "");

/** The columns of the table behind a field of a unit, through the means that its transforms take. */
function columnsBehind(unit, field) {
  const found = new Set([field]);
  for (const step of [...(unit.transform ?? [])].reverse()) {
    for (const each of step.aggregate ?? []) {
      if (!found.has(each.as) || !AVERAGES.has(each.op)) continue;
      found.delete(each.as);
      found.add(each.field);
    }
  }
  return found;
}

/** For each channel that holds one of the fields named, all columns on it, for they share a scale. */
function channelsOf(spec, named) {
  const found = new Map();
  const each = (visit) => units(structuredClone(spec), (unit) => Object.entries(unit.encoding).forEach(([channel, def]) => def?.field && visit(baseChannel(channel), def, unit)));
  each((channel, def) => { if (named.includes(def.field)) found.set(channel, new Set()); });
  each((channel, def, unit) => { if (AVERAGES.has(def.aggregate)) columnsBehind(unit, def.field).forEach((column) => found.get(channel)?.add(column)); });
  return found;
}

function extent(rows, fields, positive) {
  let low = Infinity, high = -Infinity;
  for (const row of rows) {
    for (const field of fields) {
      const value = row[field];
      if (typeof value !== "number" || (positive && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  return low <= high ? [low, high] : null;
}

const DECADES = { asked: 1e6, own: 1e4 }; // how far a scale of logarithms reaches below its largest value: where the reader asks for it, and where the chart has it

/** Whether a chart has a scale of logarithms of its own for one of these fields. */
function isOwnLog(spec, fields) {
  let found = false;
  walk(spec, (node) => { if (node.scale?.type === "log" && fields.has(node.field)) found = true; });
  return found;
}

/** Domains of the channels: linear ones hold zero, logarithmic ones what is above zero. */
function domains(view, rows, logarithmic) {
  const made = new Map();
  for (const [channel, fields] of channelsOf(view.spec, view.oneScale)) {
    const own = isOwnLog(view.spec, fields), found = extent(rows, fields, own);
    if (!found || found[0] === found[1]) continue;
    made.set(channel, { domain: own ? [Math.max(found[0], found[1] / DECADES.own), found[1]] : [Math.min(0, found[0]), Math.max(0, found[1])], log: false });
  }
  if (!logarithmic) return made;
  for (const [channel, fields] of channelsOf(view.spec, view.logFields)) {
    const all = extent(rows, fields, true), main = extent(rows, view.logFields, true);
    if (main) made.set(channel, { domain: [Math.max(main[0], all[1] / DECADES.asked) / 1.15, all[1] * 1.15], log: true, fields });
    else made.delete(channel);
  }
  return made;
}

/** Counts the values that a logarithmic scale cannot show. */
function notShown(view, rows, made) {
  const log = [...channelsOf(view.spec, view.logFields).keys()].map((channel) => made.get(channel)).find((each) => each?.log);
  let never = 0, below = 0, all = 0;
  for (const row of rows) {
    for (const field of view.logFields) {
      if (typeof row[field] !== "number") continue;
      all += 1;
      if (row[field] <= 0) never += 1;
      else if (log && row[field] < log.domain[0]) below += 1;
    }
  }
  // Controls do not stretch the scale: those that lie below it altogether are named.
  const under = [...(log?.fields ?? [])].filter((field) => !view.logFields.includes(field)).map((field) => [field, extent(rows, [field], false)])
    .filter(([, found]) => found && found[1] < log.domain[0]).map(([field, found]) => `${view.shown[field] ?? field.replaceAll("_", " ")} (at most ${shownValue(Number(found[1].toPrecision(2)))})`);
  return { never, below, all, under, possible: Boolean(log) };
}

/** Makes a unit logarithmic: means are taken of all values first, then what is not above zero is left out. */
function takeLogarithm(unit, channels) {
  const aggregates = [], groups = new Set(), transform = [];
  for (const def of Object.values(unit.encoding).flat()) {
    if (!def?.field) continue;
    if (def.aggregate) aggregates.push(def);
    else groups.add(def.field);
  }
  const onLog = Object.entries(unit.encoding).filter(([channel, def]) => def?.field && channels.get(baseChannel(channel))?.log);
  if (!onLog.length) return;
  if (aggregates.length) {
    transform.push({ aggregate: aggregates.map((def) => ({ op: def.aggregate, field: def.field, as: `${def.aggregate}_${def.field}` })), groupby: [...groups] });
    for (const def of aggregates) {
      def.field = `${def.aggregate}_${def.field}`;
      delete def.aggregate;
    }
  }
  for (const channel of new Set(onLog.map(([name]) => baseChannel(name)))) {
    const defs = onLog.filter(([name]) => baseChannel(name) === channel).map(([, def]) => def), low = channels.get(channel).domain[0];
    const fields = [...new Set(defs.map((def) => `datum[${JSON.stringify(def.field)}]`))];
    transform.push({ filter: fields.length > 1 ? `max(${fields.join(", ")}) >= ${low}` : `${fields[0]} >= ${low}` });
    if (fields.length > 1) defs.forEach((def) => transform.push({ calculate: `max(datum[${JSON.stringify(def.field)}], ${low})`, as: def.field }));
    const main = unit.encoding[channel];
    if (main) main.scale = { ...main.scale, type: "log", domain: channels.get(channel).domain, zero: undefined, nice: false };
  }
  unit.transform = [...(unit.transform ?? []), ...transform];
  unit.mark = { ...(typeof unit.mark === "string" ? { type: unit.mark } : unit.mark), clip: true };
}

function light([red, green, blue]) {
  const linear = [red, green, blue].map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function contrast(one, other) {
  const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** The colour itself, or as much lighter or darker as it takes to be seen on the page. */
function visible(color, least) {
  if (typeof color !== "string" || color === "transparent" || color === "currentColor") return color;
  paint.fillStyle = "#010203";
  paint.fillStyle = color;
  if (!/^#[0-9a-f]{6}$/.test(paint.fillStyle) || (paint.fillStyle === "#010203" && color !== "#010203")) return color;
  let parts = [1, 3, 5].map((at) => parseInt(paint.fillStyle.slice(at, at + 2), 16));
  const paper = isDark() ? [26, 26, 30] : [255, 255, 255], end = isDark() ? 255 : 0;
  for (let step = 0; step < 40 && contrast(parts, paper) < least; step += 1) parts = parts.map((part) => part + (end - part) * 0.06);
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

function makeVisible(unit) {
  const type = typeof unit.mark === "string" ? unit.mark : unit.mark.type;
  const least = type === "text" ? CONTRAST.text : CONTRAST.mark;
  const surface = type === "rect" || type === "area";
  for (const channel of ["color", "fill", "stroke"]) {
    const def = unit.encoding[channel];
    if (typeof unit.mark === "object" && !surface) unit.mark[channel] = visible(unit.mark[channel], least);
    if (!def) continue;
    const whole = Array.isArray(def.scale?.range) && (def.type === "nominal" || def.type === "ordinal");
    if (whole) def.scale = { ...def.scale, range: def.scale.range.map((color) => visible(color, CONTRAST.mark)) };
    if (!surface) walk(def, (node) => { if (typeof node.value === "string") node.value = visible(node.value, least); });
  }
}

/** Colours, shapes and dashes belong to a value for good, whatever is filtered out. */
function fixDomains(unit, table) {
  for (const channel of ["color", "fill", "stroke", "shape", "strokeDash"]) {
    const def = unit.encoding[channel];
    if (!def?.field || def.aggregate || def.bin || def.scale === null || def.scale?.domain || !table.has(def.field)) continue;
    if (def.type !== "nominal" && def.type !== "ordinal") continue;
    const known = table.distinct(def.field).filter((value) => value !== null);
    const order = filters.get(def.field)?.options.map((option) => option[0]) ?? [...known].sort((a, b) => compared(a, b, false));
    def.scale = { ...def.scale, domain: order.filter((value) => known.includes(value)) };
  }
}

const CHOSEN_LAYER = "chosen_layer"; // the parameter of charts that mark the chosen layer by themselves
const chosenLayer = () => state.chosen.get("layer")?.[0] ?? null;
const marksLayer = (view) => (view.spec.params ?? []).some((param) => param.name === CHOSEN_LAYER);

/** A text of a view that names the measure at the start, with the measure that is chosen. */
function retold(view, text) {
  if (!view.filters.includes("measure") || !filters.has("measure") || atStart("measure")) return text;
  const [before] = filters.get("measure").chosen, [now] = state.chosen.get("measure");
  return before === undefined || now === undefined ? text : text.replaceAll(optionWords("measure", before), optionWords("measure", now));
}

/** Whether each mark of a unit stands for one row, and not for several together. */
function standsForRows(unit) {
  return !(unit.transform ?? []).some((step) => step.aggregate) && Object.values(unit.encoding).flat().every((def) => !def?.aggregate);
}

/** Returns what Vega-Lite draws of these rows, without them. made: domains of the channels, whose ends are parameters: they change with the rows. */
function drawnSpec(view, rows, made, width) {
  const spec = structuredClone(view.spec), table = tables.get(view.table), ends = new Map();
  spec.data = { name: "rows" };
  // A chart with one row of cells for each value of a column is as high as it has rows; Vega-Lite gives such a chart no width to fill.
  const rowsBy = spec.usermeta?.rowsBy;
  if (rowsBy) spec.height = spec.height.step * new Set(rows.map((row) => row[rowsBy])).size;
  for (const param of spec.params ?? []) if (param.name === CHOSEN_LAYER) param.value = chosenLayer();
  if (spec.layer || spec.mark) {
    spec.width = width;
    spec.autosize = { type: "fit-x", contains: "padding" };
  }
  walk(spec, (node) => {
    if (typeof node.title === "string") node.title = retold(view, node.title);
    // On a narrow screen names and the bar of colours leave the cells some room.
    for (const name of ["labelLimit", "gradientLength"]) if (node[name] > 0.4 * width) node[name] = Math.floor(0.4 * width);
  });
  units(spec, (unit) => {
    unit.encoding = structuredClone(unit.encoding);
    fixDomains(unit, table);
    makeVisible(unit);
    for (const [channel, { domain, log }] of made) {
      const def = unit.encoding[channel];
      if (log || !def?.field || def.scale === null) continue;
      const names = domain.map((end, at) => `${channel}_end_${at}`);
      names.forEach((name, at) => ends.set(name, domain[at]));
      def.scale = { nice: channel === "y" || channel === "x", ...def.scale, domain: names.map((signal) => ({ signal })) };
    }
    if (standsForRows(unit)) delete unit.encoding.tooltip; // the page has its values from the row itself
    if (view.legend.length) for (const def of Object.values(unit.encoding)) if (def?.legend) def.legend = null;
    takeLogarithm(unit, made);
  });
  spec.params = [...(spec.params ?? []), ...[...ends].map(([name, value]) => ({ name, value }))];
  return spec;
}
