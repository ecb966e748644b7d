// Tables of the page: stored by columns, and read as rows where a chart or a table shows them.
async function unzipped(letters) {
  const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
}

const storedPage = document.getElementById("page-data");
const page = JSON.parse("packed" in storedPage.dataset ? await (await unzipped(storedPage.textContent)).text() : storedPage.textContent);

class Table {
  constructor(stored) {
    this.names = Object.keys(stored);
    this.columns = new Map(this.names.map((name) => [name, stored[name]]));
    const first = this.columns.get(this.names[0]);
    this.count = first === undefined ? 0 : Array.isArray(first) ? first.length : first.at.length;
  }

  has(name) { return this.columns.has(name); }

  value(name, place) {
    const stored = this.columns.get(name);
    if (stored === undefined) return undefined;
    return Array.isArray(stored) ? stored[place] : stored.of[stored.at[place]];
  }

  /** A new object on each call, for a chart may write into it. `_row` is its place in the table. */
  row(place) {
    const row = { _row: place };
    for (const name of this.names) row[name] = this.value(name, place);
    return row;
  }

  distinct(name) {
    const stored = this.columns.get(name);
    return Array.isArray(stored) ? [...new Set(stored)] : [...stored.of];
  }

  /** Places of the rows whose values are among those allowed. allowed: pairs of a column and the values. */
  places(allowed) {
    const tests = allowed.filter(([name]) => this.has(name)).map(([name, values]) => {
      const stored = this.columns.get(name), wanted = new Set(values);
      if (Array.isArray(stored)) return (place) => wanted.has(stored[place]);
      const passes = stored.of.map((value) => wanted.has(value));
      return (place) => passes[stored.at[place]];
    });
    const kept = [];
    for (let place = 0; place < this.count; place++) if (tests.every((test) => test(place))) kept.push(place);
    return kept;
  }
}

const tables = new Map(Object.entries(page.tables).map(([name, stored]) => [name, new Table(stored)]));

/** A value as every part of the page shows it: numbers to six significant digits, in the table of models to four. */
function shownValue(value, digits = 6) {
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value)) return String(value);
  const short = Number(value.toPrecision(digits));
  return Math.abs(short) < 1e-4 ? short.toExponential() : String(short);
}

/** Sorts numbers as numbers and texts as people do; missing values come last either way. */
function compared(one, other, down) {
  const oneMissing = one === null || one === undefined, otherMissing = other === null || other === undefined;
  if (oneMissing || otherMissing) return Number(oneMissing) - Number(otherMissing);
  const order = typeof one === "number" && typeof other === "number" ? one - other
    : String(one).localeCompare(String(other), "en", { numeric: true });
  return down ? -order : order;
}
