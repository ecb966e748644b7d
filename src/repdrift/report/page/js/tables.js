// Tables: sorted by their headings, searched, written as a file; the first rows at once and more on demand.
const AT_ONCE = 200;

/** A table of rows. columns: pairs of a column and its heading. rows: returns the rows to show. below: elements that unfold below a row. digits: of its numbers.
 *  Returns the element, with `show()` to draw it anew. */
function dataTable({ name, title, columns, rows, below, digits }) {
  const numeric = new Set();
  let limit = AT_ONCE, shown = [];
  const search = make("input", { type: "search", placeholder: "Search", "aria-label": `Search ${title}`, oninput: () => {
    if (search.value) state.finds.set(name, search.value); else state.finds.delete(name);
    limit = AT_ONCE;
    changed();
  } });
  const count = make("span", { class: "soft", role: "status" });
  const file = make("button", { type: "button", title: "The rows shown, with six significant digits", onclick: () => saveFile(`${name}.csv`, new Blob([csvOf(columns, shown)], { type: "text/csv" })) }, "CSV of these rows");
  const heads = columns.map(([column, heading]) => {
    const button = make("button", { type: "button", onclick: () => {
      const now = state.sorts.get(name);
      if (now?.column !== column) state.sorts.set(name, { column, down: false });
      else if (!now.down) state.sorts.set(name, { column, down: true });
      else state.sorts.delete(name);
      changed();
    } }, heading);
    return make("th", { scope: "col" }, button);
  });
  const body = make("tbody");
  const more = make("button", { type: "button", onclick: () => { limit += AT_ONCE; show(); } });
  const head = make("tr", {}, below ? make("th", { scope: "col" }, make("span", { class: "unseen" }, "Details")) : null, ...heads);
  const table = make("table", {}, make("caption", { class: "unseen" }, title), make("thead", {}, head), body);
  const element = make("div", { class: "data-table", "data-table": name },
    make("div", { class: "table-tools" }, search, count, file), make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, table), more);

  function show() {
    const all = rows(), sort = state.sorts.get(name), text = (state.finds.get(name) ?? "").toLowerCase();
    if (search.value !== (state.finds.get(name) ?? "")) search.value = state.finds.get(name) ?? "";
    const wanted = text.split(/\s+/).filter(Boolean);
    const holds = (row) => { const said = columns.map(([column]) => shownValue(row[column])).join("\n").toLowerCase(); return wanted.every((word) => said.includes(word)); };
    shown = wanted.length ? all.filter(holds) : [...all];
    if (sort && columns.some(([column]) => column === sort.column)) shown.sort((one, other) => compared(one[sort.column], other[sort.column], sort.down));
    columns.forEach(([column], at) => {
      const order = sort?.column === column ? (sort.down ? "descending" : "ascending") : null;
      if (order) heads[at].setAttribute("aria-sort", order); else heads[at].removeAttribute("aria-sort");
      if (all.some((row) => typeof row[column] === "number")) numeric.add(column);
      heads[at].className = numeric.has(column) ? "n" : "";
    });
    body.replaceChildren(...shown.slice(0, limit).flatMap((row) => lines(row)));
    count.textContent = shown.length === all.length ? rowsWords(all.length) : `${shown.length} of ${rowsWords(all.length)}`;
    more.hidden = shown.length <= limit;
    more.textContent = `Show ${Math.min(AT_ONCE, shown.length - limit)} more of ${shown.length} rows`;
    file.disabled = !shown.length;
  }

  function cellOf(value, column) {
    const text = shownValue(value, digits), look = [numeric.has(column) && "n", (value === null || value === undefined) && "none", text.length < 25 && "short-text"];
    return make("td", { class: look.filter(Boolean).join(" "), title: text === shownValue(value) ? null : shownValue(value) }, ...prose(text));
  }

  function lines(row) {
    const cells = columns.map(([column]) => cellOf(row[column], column));
    if (!below) return [make("tr", {}, ...cells)];
    const open = state.opened.has(row._row);
    const button = make("button", { type: "button", class: "unfold", "aria-expanded": String(open), "aria-label": `Details of row ${row._row + 1}`, onclick: () => {
      if (!state.opened.delete(row._row)) state.opened.add(row._row);
      changed();
      document.querySelector(`#model-${row._row} .unfold`)?.focus({ preventScroll: true });
    } }, open ? "−" : "+");
    const line = make("tr", { id: `model-${row._row}` }, make("td", {}, button), ...cells);
    return open ? [line, make("tr", { class: "below" }, make("td", { colspan: columns.length + 1 }, below(row)))] : [line];
  }
  return Object.assign(element, { show });
}

function rowsWords(count) { return count === 1 ? "1 row" : `${count} rows`; }

/** Rows as csv. A text that a spreadsheet program would run gets an apostrophe in front; a missing value is empty. */
function csvOf(columns, rows) {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return shownValue(value);
    const text = String(value), safe = /^'*\s*[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const lines = [columns.map(([, heading]) => cell(heading)), ...rows.map((row) => columns.map(([column]) => cell(row[column])))];
  return `${lines.map((line) => line.join(",")).join("\r\n")}\r\n`;
}

/** Values below a chart: the rows that it is drawn of, built when the fold is opened. */
const valueTables = new Map();

function buildValues(view) {
  const fold = document.querySelector(`details.values[data-values="${CSS.escape(view.name)}"]`);
  const summary = fold.querySelector("summary");
  fold.addEventListener("toggle", () => {
    if (!fold.open) return;
    if (!valueTables.has(view.name)) {
      const made = dataTable({ name: view.name, title: `Values of ${summary.dataset.title}`, columns: shownColumns(view), rows: () => drawings.get(view.name)?.rows ?? rowsOf(view) });
      valueTables.set(view.name, made);
      fold.append(made);
    }
    valueTables.get(view.name).show();
  });
  if (state.sorts.has(view.name) || state.finds.has(view.name)) fold.open = true;
}

function showValues(view) {
  const fold = document.querySelector(`details.values[data-values="${CSS.escape(view.name)}"]`);
  fold.querySelector("summary").textContent = `Values (${rowsWords(drawings.get(view.name).rows.length)})`;
  if (fold.open) valueTables.get(view.name)?.show();
}
