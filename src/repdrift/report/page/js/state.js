// What the reader has chosen: filters, scales, sorting, searches, colours. It stands in the URL's fragment and nowhere else.
const filters = new Map(page.filters.map((filter) => [filter.column, filter]));
const views = new Map(page.views.map((view) => [view.name, view]));
const THEMES = ["auto", "light", "dark"];
const state = { chosen: new Map(), log: new Set(), theme: "auto", sorts: new Map(), finds: new Map(), opened: new Set(), faults: [] };
const listeners = [];

function reset() {
  for (const filter of filters.values()) state.chosen.set(filter.column, [...filter.chosen]);
  state.log.clear(); state.sorts.clear(); state.finds.clear(); state.opened.clear();
  state.theme = "auto";
  state.faults = [];
}

function atStart(name) {
  return JSON.stringify(state.chosen.get(name)) === JSON.stringify([...filters.get(name).chosen]);
}

/** Takes the state from the fragment. What the page does not have is left at its start, and said. */
function readFragment() {
  reset();
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const [name, filter] of filters) {
    if (!asked.has(name)) continue;
    const texts = asked.getAll(name).filter((text) => text !== "");
    const values = filter.options.map((option) => option[0]);
    const found = values.filter((value) => texts.includes(String(value)));
    const unknown = texts.filter((text) => !values.some((value) => String(value) === text));
    if (unknown.length) state.faults.push(`${filter.label.toLowerCase()} ${unknown.map((text) => `"${text.slice(0, 80)}"`).join(", ")}`);
    if (unknown.length && !found.length) continue;
    if (!found.length && !filter.several && !filter.whole) continue;
    state.chosen.set(name, filter.several ? (found.length === values.length ? [] : found) : found.slice(0, 1));
  }
  asked.getAll("log").filter((name) => views.get(name)?.logFields.length).forEach((name) => state.log.add(name));
  if (THEMES.includes(asked.get("theme"))) state.theme = asked.get("theme");
  asked.getAll("sort").forEach((text) => {
    const [table, column, way] = text.split("~");
    if (table && column) state.sorts.set(table, { column, down: way === "down" });
  });
  asked.getAll("find").forEach((text) => {
    const at = text.indexOf("~");
    if (at > 0) state.finds.set(text.slice(0, at), text.slice(at + 1));
  });
  asked.getAll("model").forEach((text) => { if (/^\d{1,6}$/.test(text)) state.opened.add(Number(text)); });
}

function fragment() {
  const written = new URLSearchParams();
  for (const [name, chosen] of state.chosen) {
    if (!filters.has(name) || atStart(name)) continue;
    if (chosen.length) chosen.forEach((value) => written.append(name, String(value)));
    else written.append(name, "");
  }
  state.log.forEach((name) => written.append("log", name));
  state.sorts.forEach((sort, table) => written.append("sort", [table, sort.column, ...(sort.down ? ["down"] : [])].join("~")));
  state.finds.forEach((text, table) => { if (text) written.append("find", `${table}~${text}`); });
  state.opened.forEach((place) => written.append("model", String(place)));
  if (state.theme !== "auto") written.append("theme", state.theme);
  return written.toString();
}

/** Writes the fragment, and tells all parts of the page. step: whether "back" in the browser undoes it. */
function changed(step = false) {
  const text = fragment(), address = text ? `#${text}` : location.href.split("#")[0];
  if (text !== location.hash.slice(1)) history[step ? "pushState" : "replaceState"](null, "", address);
  listeners.forEach((listener) => listener());
}

function choose(name, values) {
  state.chosen.set(name, values);
  state.faults = [];
  changed(true);
}

/** Sets the filter to one value; the same value again takes it back where the filter may be empty. */
function select(name, value) {
  const filter = filters.get(name);
  if (!filter || !filter.options.some((option) => option[0] === value)) return;
  const now = state.chosen.get(name);
  const again = now.length === 1 && now[0] === value;
  if (again && !filter.several && !filter.whole) return;
  choose(name, again ? [] : [value]);
}

function optionWords(name, value) {
  const option = filters.get(name)?.options.find((each) => each[0] === value);
  return option ? option[1] : shownValue(value);
}

/** The filters that a view follows and that leave something out, as pairs of a column and the values that stay. */
function allowedIn(names) {
  return names.filter((name) => state.chosen.get(name)?.length).map((name) => [name, state.chosen.get(name)]);
}
