// Tables of the page: stored by columns, used by rows.
const page = JSON.parse(document.getElementById("page-data").textContent);

function column(stored) {
  return Array.isArray(stored) ? stored : stored.at.map((place) => stored.of[place]);
}

function rowsOf(table) {
  const names = Object.keys(table);
  const values = names.map((name) => column(table[name]));
  const count = values.length ? values[0].length : 0;
  return Array.from({ length: count }, (_, row) => Object.fromEntries(names.map((name, at) => [name, values[at][row]])));
}

const unpacked = new Map();
function tableRows(name) {
  if (!unpacked.has(name)) unpacked.set(name, rowsOf(page.tables[name]));
  return unpacked.get(name);
}

function shortNumber(value) {
  if (value === null || value === undefined) return "none";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return String(value);
  return Number(value.toPrecision(6)).toString();
}
