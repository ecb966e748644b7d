// Controls of the filters: boxes where there are few options, a list with a search where there are many, a select for one of many.
const FEW = 6;
const SHORT = 60; // letters of all options that stand side by side
const wide = matchMedia("(min-width: 52rem)");

function isShort(filter) {
  return filter.options.length <= FEW && filter.options.reduce((sum, option) => sum + option[1].length, 0) <= SHORT;
}

function chosenWords(filter) {
  const chosen = state.chosen.get(filter.column);
  if (!chosen.length) return filter.several ? "all" : filter.whole || "all";
  if (chosen.length > 2) return `${chosen.length} of ${filter.options.length}`;
  return chosen.map((value) => optionWords(filter.column, value)).join(", ");
}

function after(filter, value, checked) {
  const all = filter.options.map((option) => option[0]);
  const chosen = state.chosen.get(filter.column).length ? state.chosen.get(filter.column) : all;
  const next = checked ? all.filter((each) => chosen.includes(each) || each === value) : chosen.filter((each) => each !== value);
  return next.length === all.length || !next.length ? [] : next;
}

function box(filter, value, words) {
  const input = make("input", { type: "checkbox", name: `filter-${filter.column}`, onchange: () => choose(filter.column, after(filter, value, input.checked)) });
  input.update = () => {
    const chosen = state.chosen.get(filter.column);
    input.checked = !chosen.length || chosen.includes(value);
  };
  return make("label", { class: "option" }, input, make("span", {}, words));
}

function list(filter) {
  const options = filter.options.map(([value, words]) => make("li", {}, box(filter, value, words),
    make("button", { type: "button", class: "only", "aria-label": `Only ${words}`, onclick: () => choose(filter.column, [value]) }, "only")));
  const search = make("input", { type: "search", placeholder: "Search", "aria-label": `Search ${filter.label}`, oninput: () => {
    const wanted = search.value.toLowerCase();
    options.forEach((option, at) => { option.hidden = !filter.options[at][1].toLowerCase().includes(wanted); });
  } });
  const words = make("span", { class: "words" });
  const summary = make("summary", {}, words);
  summary.update = () => { words.textContent = chosenWords(filter); summary.setAttribute("aria-label", `${filter.label}: ${chosenWords(filter)}`); };
  const list = make("div", { class: "picked" },
    make("div", { class: "picker-head" }, search, make("button", { type: "button", onclick: () => choose(filter.column, []) }, "All")),
    make("ul", {}, ...options));
  const picker = make("details", { class: "picker", ontoggle: () => {
    list.classList.remove("leftwards");
    if (picker.open && list.getBoundingClientRect().right > document.documentElement.clientWidth) list.classList.add("leftwards");
  } }, summary, list);
  return picker;
}

function radio(filter, value, words) {
  const input = make("input", { type: "radio", name: `filter-${filter.column}`, onchange: () => choose(filter.column, value === null ? [] : [value]) });
  input.update = () => {
    const chosen = state.chosen.get(filter.column);
    input.checked = value === null ? !chosen.length : chosen.includes(value);
  };
  return make("label", { class: "option" }, input, make("span", {}, words));
}

function choice(filter) {
  const options = filter.whole ? [[null, filter.whole], ...filter.options] : filter.options;
  const control = make("select", { "aria-label": filter.label, onchange: () => {
    const [value] = options[control.selectedIndex];
    choose(filter.column, value === null ? [] : [value]);
  } }, ...options.map(([, words]) => make("option", {}, words)));
  control.update = () => {
    const chosen = state.chosen.get(filter.column);
    control.selectedIndex = Math.max(0, options.findIndex(([value]) => (value === null ? !chosen.length : chosen.includes(value))));
  };
  return control;
}

function controlOf(filter) {
  if (filter.several) return isShort(filter) ? filter.options.map(([value, words]) => box(filter, value, words)) : [list(filter)];
  if (!isShort(filter) || filter.whole) return [choice(filter)];
  return filter.options.map(([value, words]) => radio(filter, value, words));
}

function buildFilters() {
  for (const filter of filters.values()) {
    const place = document.querySelector(`fieldset[data-filter="${CSS.escape(filter.column)}"]`);
    if (place) place.append(make("div", { class: "options" }, ...controlOf(filter)));
  }
  document.getElementById("reset").addEventListener("click", () => {
    for (const filter of filters.values()) state.chosen.set(filter.column, [...filter.chosen]);
    state.faults = [];
    changed(true);
  });
  const bar = document.getElementById("filters"), fold = () => { bar.open = wide.matches; };
  fold();
  wide.addEventListener("change", fold);
  document.addEventListener("click", (event) => closePickers(event.target));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closePickers(null); });
}

function closePickers(target) {
  document.querySelectorAll("details.picker[open]").forEach((picker) => { if (!target || !picker.contains(target)) picker.open = false; });
}

function showFilters() {
  document.querySelectorAll("fieldset[data-filter] :is(input, select, summary)").forEach((control) => control.update?.());
  const shown = [...filters.values()].filter((filter) => filter.options.length > 1 && !filter.view);
  document.getElementById("filters-line").textContent = shown.map((filter) => `${filter.label}: ${chosenWords(filter)}`).join(" · ") || "Nothing to choose";
  const elsewhere = shown.filter((filter) => !atStart(filter.column));
  document.getElementById("reset").hidden = [...filters.keys()].every(atStart);
  const notes = [];
  if (state.faults.length) notes.push(`The link asks for ${state.faults.join(" and ")}, which this page does not have; that part is left out.`);
  if (elsewhere.length) notes.push(`Chosen: ${elsewhere.map((filter) => `${filter.label.toLowerCase()} ${chosenWords(filter)}`).join("; ")}. Charts follow, or say that they do not; sentences and tiles are about the choices at the start.`);
  const place = document.getElementById("filters-note");
  place.textContent = notes.join(" ");
  place.hidden = !notes.length;
}
