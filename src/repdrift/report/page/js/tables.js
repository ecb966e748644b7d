// Controls of the filters, and the table of models.
function drawFilters() {
  for (const [name, filter] of filters) {
    const place = document.querySelector(`fieldset[data-filter="${CSS.escape(name)}"]`);
    place.querySelectorAll("label").forEach((label) => label.remove());
    const chosen = state.chosen.get(name);
    const options = filter.several || !filter.whole ? filter.options : [[null, filter.whole], ...filter.options];
    for (const [value, words] of options) {
      const label = document.createElement("label"), box = document.createElement("input");
      box.type = filter.several ? "checkbox" : "radio";
      box.name = `filter-${name}`;
      box.checked = value === null ? !chosen.length : filter.several ? !chosen.length || chosen.includes(value) : chosen.includes(value);
      box.addEventListener("change", () => choose(name, after(filter, value, box.checked)));
      label.append(box, ` ${words}`);
      place.append(label);
    }
  }
}

function after(filter, value, checked) {
  if (!filter.several) return value === null ? [] : [value];
  const all = filter.options.map((option) => option[0]);
  const chosen = state.chosen.get(filter.column).length ? state.chosen.get(filter.column) : all;
  const next = checked ? all.filter((each) => chosen.includes(each) || each === value) : chosen.filter((each) => each !== value);
  return next.length === all.length ? [] : next.length ? next : chosen;
}

function drawRuns() {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  Object.values(page.runs.columns).forEach((words) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = words;
    head.append(cell);
  });
  const body = table.createTBody();
  for (const row of rowsOf(page.runs.table)) {
    const line = body.insertRow();
    Object.keys(page.runs.columns).forEach((name) => { line.insertCell().textContent = shortNumber(row[name]); });
  }
  document.getElementById("run-table").replaceChildren(table);
}
