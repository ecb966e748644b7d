// What the reader has chosen: by filter, the places of the chosen options. It stands in the URL's fragment.
const filters = new Map(page.filters.map((filter) => [filter.column, filter]));
const state = { chosen: new Map(), log: new Set() };
const listeners = [];

function reset() {
  for (const filter of filters.values()) state.chosen.set(filter.column, [...filter.chosen]);
  state.log.clear();
}

function readFragment() {
  reset();
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const [name, filter] of filters) {
    if (!asked.has(name)) continue;
    const values = filter.options.map((option) => option[0]);
    const found = asked.getAll(name).map((text) => values.find((value) => String(value) === text)).filter((value) => value !== undefined);
    state.chosen.set(name, filter.several ? found : found.slice(0, 1));
    if (!filter.several && !filter.whole && !found.length) state.chosen.set(name, [...filter.chosen]);
  }
  asked.getAll("log").forEach((name) => state.log.add(name));
}

function writeFragment() {
  const written = new URLSearchParams();
  for (const [name, filter] of filters) {
    const chosen = state.chosen.get(name);
    if (JSON.stringify(chosen) === JSON.stringify(filter.chosen)) continue;
    if (chosen.length) chosen.forEach((value) => written.append(name, String(value)));
    else written.append(name, "");
  }
  state.log.forEach((name) => written.append("log", name));
  const text = written.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function choose(name, values) {
  state.chosen.set(name, values);
  changed();
}

function changed() {
  writeFragment();
  listeners.forEach((listener) => listener());
}

function keeps(view, row) {
  return view.filters.every((name) => {
    const chosen = state.chosen.get(name);
    return !chosen || !chosen.length || chosen.includes(row[name]);
  });
}
