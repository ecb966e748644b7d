// Exact values: under the pointer in a small window, by keyboard in a line that screen readers read. Both show the same columns.
const tip = make("div", { class: "tip", "aria-hidden": "true", hidden: true });

function shownColumns(view) {
  const named = Object.entries(view.shown);
  return named.length ? named : tables.get(view.table).names.map((name) => [name, name.replaceAll("_", " ")]);
}

/** Pairs of a heading and a value of a row; a remark that is empty is left out. */
function rowValues(columns, row) {
  return columns.filter(([name]) => row[name] !== "").map(([name, heading]) => [heading, shownValue(row[name])]);
}

/** Pairs of a heading and a value: of a row, or of a mean with the number of rows behind it. */
function valuesOf(view, drawing, point) {
  const columns = shownColumns(view);
  if (point.row !== undefined) return rowValues(columns, drawing.rows.find((row) => row._row === point.row) ?? {});
  // What stands for several rows says so itself, in the words of its chart.
  if (point.said && typeof point.said === "object") return Object.entries(point.said).map(([heading, text]) => [heading, saidValue(text)]);
  const headings = new Map(columns);
  const pairs = columns.filter(([name]) => name in point.datum).map(([name, heading]) => [heading, shownValue(point.datum[name])]);
  for (const [name, value] of Object.entries(point.datum)) {
    const found = /^(mean|average|median|min|max|sum|count)_(.+)$/.exec(name);
    if (found && typeof value === "number") pairs.push([`${found[1]} of ${headings.get(found[2]) ?? found[2].replaceAll("_", " ")}`, shownValue(value)]);
  }
  return pairs;
}

/** A value as Vega words it, in the digits of the page. */
function saidValue(text) {
  const plain = String(text).replace("\u2212", "-").replaceAll(",", "");
  if (text === "" || text === "null" || text === "NaN") return "none";
  return /^-?[\d.]+(e[+-]?\d+)?$/i.test(plain) ? shownValue(Number(plain)) : String(text);
}

function hover(view, panel, event) {
  const drawing = drawings.get(view.name), point = drawing?.panels.includes(panel) && nearest(panel, event);
  if (!point) { hideTip(); return; }
  const pairs = valuesOf(view, drawing, point);
  const here = pointsIn(panel).filter((each) => each.row !== undefined && each.rank === point.rank && Math.abs(each.x - point.x) < 0.5 && Math.abs(each.y - point.y) < 0.5).length;
  const list = make("dl", {}, ...pairs.flatMap(([heading, value]) => [make("dt", {}, heading), make("dd", {}, value)]));
  const notes = [];
  if (point.row !== undefined && here > 1) notes.push(`${here} rows stand at this place; Values below has all.`);
  if (Object.keys(view.selects).some((name) => filters.has(name))) notes.push(`Click: ${Object.keys(view.selects).map((name) => filters.get(name)?.label.toLowerCase()).filter(Boolean).join(", ")} in all charts`);
  tip.replaceChildren(list, ...notes.map((text) => make("p", {}, text)));
  tip.hidden = false;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  tip.style.left = `${Math.max(4, event.clientX + 16 + width > innerWidth ? event.clientX - width - 16 : event.clientX + 16)}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 12, innerHeight - height - 4))}px`;
}

function hideTip() { tip.hidden = true; }

function hit(view, panel, event) {
  const drawing = drawings.get(view.name), point = drawing?.panels.includes(panel) && nearest(panel, event);
  if (point) selectFrom(view, point.datum);
  if (point && event.pointerType === "touch") hover(view, panel, event); // a finger does not hover
}

document.addEventListener("pointerdown", (event) => { if (!event.target.closest?.(".drawn")) hideTip(); });

function selectFrom(view, values) {
  for (const [name, column] of Object.entries(view.selects)) {
    const value = values[column];
    if (value !== undefined && value !== null) select(name, value);
  }
}

function buildReadout(view, place) {
  const title = cardOf(view.name).querySelector("h2, h3").textContent;
  place.tabIndex = 0;
  place.setAttribute("role", "application");
  place.setAttribute("aria-roledescription", "chart");
  place.setAttribute("aria-label", `${title}. Arrow keys walk through its values; Values below the chart has them as a table.`);
  place.addEventListener("keydown", (event) => moveBy(view, event));
  place.addEventListener("blur", () => clearCurrent(view));
}

function clearCurrent(view) {
  placeOf(view.name).querySelectorAll(".ring.current").forEach((ring) => ring.remove());
}

const ordered = (rows, name) => [...new Set(rows.map((row) => row[name]))].sort((one, other) => {
  const options = filters.get(name)?.options;
  const at = (value) => options?.findIndex((option) => option[0] === value) ?? -1;
  return at(one) >= 0 && at(other) >= 0 ? at(one) - at(other) : compared(one, other, false);
});

function moveBy(view, event) {
  const drawing = drawings.get(view.name), rows = drawing?.rows ?? [];
  const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, -1], ArrowDown: [1, 1], PageDown: [2, 1], PageUp: [2, -1], Home: [0, -Infinity], End: [0, Infinity] };
  if (event.key === "Escape") { hideTip(); clearCurrent(view); return; }
  if (event.key === "Enter" && drawing?.current) { event.preventDefault(); selectFrom(view, drawing.current); return; }
  const move = moves[event.key];
  if (!move || !rows.length || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  drawing.current = drawing.current ? moved(view, rows, drawing.current, ...move) : rows[0];
  showCurrent(view, drawing);
}

/** The row that a key leads to: along one column, staying at the same values of the others where there is such a row. */
function moved(view, rows, from, axis, by) {
  const here = rows.filter((row) => view.keyboard.every((name) => row[name] === from[name]));
  if (axis === 2 || !view.keyboard.length) {
    const among = view.keyboard.length ? here : rows;
    return among[Math.max(0, Math.min(among.length - 1, among.indexOf(from) + (axis === 2 || axis === 0 ? by : 0)))];
  }
  const name = view.keyboard[axis];
  if (!name) return from;
  const values = ordered(rows, name);
  const value = values[Math.max(0, Math.min(values.length - 1, values.indexOf(from[name]) + by))];
  if (value === from[name]) return from;
  const others = [...view.keyboard.filter((each) => each !== name), view.panelBy, ...view.filters].filter(Boolean);
  const alike = (row) => others.reduce((sum, each, at) => sum + (row[each] === from[each] ? 2 ** (others.length - at) : 0), 0);
  return rows.filter((row) => row[name] === value).reduce((best, row) => (alike(row) > alike(best) ? row : best));
}

function showCurrent(view, drawing) {
  const row = drawing.current, here = drawing.rows.filter((each) => view.keyboard.every((name) => each[name] === row[name]));
  clearCurrent(view);
  const place = pointOf(view, drawing, row);
  if (place) ringAt(place.panel, place.point, "current");
  const values = rowValues(shownColumns(view), row).map((pair) => pair.join(" ")).join("; ");
  const more = here.length > 1 && view.keyboard.length ? ` (${here.indexOf(row) + 1} of ${here.length} here; Page Up and Page Down for the others)` : "";
  const together = place && place.point.row === undefined ? ` The mark stands for several: ${valuesOf(view, drawing, place.point).map((pair) => pair.join(" ")).join("; ")}.` : "";
  const unseen = place ? together : " This value has no mark in the chart.";
  cardOf(view.name).querySelector(".readout").textContent = `${values}.${more}${unseen}`;
}
