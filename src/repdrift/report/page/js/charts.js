// Drawing: a view is drawn when what it shows has changed. Views out of sight wait. Panels that only have other rows take them; others are drawn anew.
const drawings = new Map(); // by view: what is on the page now
const tickets = new Map();
const near = new Set([page.views[0].name]); // the main chart is drawn wherever it stands
let queued = false;

function rowsOf(view) {
  const table = tables.get(view.table);
  return table.places(allowedIn(view.filters)).map((place) => table.row(place));
}

function panelsOf(view, rows) {
  if (!view.panelBy) return [["", rows]];
  const panels = new Map((filters.get(view.panelBy)?.options ?? []).map(([value]) => [value, []]));
  for (const row of rows) {
    const value = row[view.panelBy];
    if (!panels.has(value)) panels.set(value, []);
    panels.get(value).push(row);
  }
  return [...panels].filter(([, part]) => part.length);
}

/** The width that a view has, on the screen or on paper. */
const roomOf = (place) => (printing ? 680 : widths.get(place) ?? place.clientWidth);
const widths = new Map(); // as last observed: to ask for one makes the browser lay the page out

/** A text that differs whenever the drawing would. */
function keyOf(view, place) {
  return JSON.stringify([allowedIn(view.filters), state.log.has(view.name), isDark(), Math.round(roomOf(place))]);
}

function columnsFor(view, place, panels) {
  const room = roomOf(place), least = printing || panels > 4 || view.name !== page.views[0].name ? 290 : 400;
  const most = Math.max(1, Math.min(panels, Math.floor((room + 16) / (least + 16))));
  return Math.ceil(panels / Math.ceil(panels / most)); // rows of about equal length
}

/** Whether a view is in sight, or nearly, and does not show the state. */
function isLate(view) {
  return near.has(view.name) && drawings.get(view.name)?.key !== keyOf(view, placeOf(view.name));
}

/** Draws what has changed and is near, one view after the other, so that the page answers in between. */
function drawSoon() {
  views.forEach((view) => { placeOf(view.name).ariaBusy = String(isLate(view)); });
  if (queued) return;
  queued = true;
  requestAnimationFrame(async () => {
    queued = false;
    for (const view of views.values()) {
      if (!isLate(view)) continue;
      await draw(view);
      await new Promise((resolve) => setTimeout(resolve));
      if (queued) return;
    }
  });
}

async function draw(view) {
  const place = placeOf(view.name), key = keyOf(view, place), ticket = (tickets.get(view.name) ?? 0) + 1;
  tickets.set(view.name, ticket);
  const rows = rowsOf(view), panels = panelsOf(view, rows), logarithmic = state.log.has(view.name);
  const before = drawings.get(view.name), drawing = { key, rows, panels: [], current: null };
  const isOver = () => tickets.get(view.name) !== ticket;
  const drop = () => drawing.panels.filter((panel) => !before?.panels.includes(panel)).forEach((panel) => panel.end());
  const shell = make("div", { class: "panels" });
  if (before) before.key = null; // its panels take the new rows one by one
  try {
    if (rows.length) {
      const made = domains(view, rows, logarithmic), columns = columnsFor(view, place, panels.length);
      drawing.notShown = logarithmic ? notShown(view, rows, made) : null;
      shell.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
      const width = Math.max(160, Math.floor((roomOf(place) - 16 * (columns - 1)) / columns));
      for (const [name, part] of panels) {
        drawing.panels.push(await panelOf(view, before?.panels.find((panel) => panel.name === name), name, part, made, width));
        if (isOver()) { drop(); return; }
      }
      drawing.legend = await legendOf(view, drawing, before?.legend, roomOf(place), rows);
    } else shell.append(make("p", { class: "empty" }, nothingLeft(view)));
  } catch (fault) {
    console.warn(`The chart ${view.name} could not be drawn:`, fault);
    shell.replaceChildren(make("p", { class: "empty" }, `This chart could not be drawn (${fault.message}). Its values stand below.`));
    drop();
    drawing.panels = [];
    drawing.failed = true;
  }
  if (isOver()) { drop(); return; }
  before?.panels.filter((panel) => !drawing.panels.includes(panel)).forEach((panel) => panel.end());
  if (before?.legend && before.legend !== drawing.legend) before.legend.end();
  drawing.current = rows.find((row) => row._row === before?.current?._row) ?? null;
  drawings.set(view.name, drawing);
  clearCurrent(view);
  shell.append(...drawing.panels.map((panel) => panel.element));
  place.replaceChildren(shell);
  cardOf(view.name).querySelector(".legend").replaceChildren(...(drawing.legend ? [drawing.legend.element] : []));
  place.dataset.drawn = String(rows.length);
  place.ariaBusy = String(isLate(view));
  showMarked(view);
  showNotes(view);
  showValues(view);
}

function nothingLeft(view) {
  const chosen = allowedIn(view.filters).map(([name, values]) => `${filters.get(name).label.toLowerCase()} ${values.map((value) => optionWords(name, value)).join(", ")}`);
  return chosen.length ? `This chart has no value for what is chosen: ${chosen.join("; ")}.` : "This chart has no values.";
}

/** Says beside a chart what the scale leaves out, and that its sentences are about other choices. */
function showNotes(view) {
  const card = cardOf(view.name), drawing = drawings.get(view.name), notes = [];
  const moved = view.filters.some((name) => filters.has(name) && !atStart(name));
  card.querySelectorAll(".answer-of-start").forEach((line) => { line.hidden = !moved; });
  const caption = card.querySelector(".caption");
  caption.dataset.start ??= caption.textContent;
  if (retold(view, caption.dataset.start) !== caption.textContent) caption.textContent = retold(view, caption.dataset.start);
  if (drawing?.rows.length && !drawing.failed && drawing.panels.every((panel) => !pointsIn(panel).length)) notes.push(`Nothing is drawn: ${drawing.rows.length === 1 ? "the row that is chosen has" : `the ${drawing.rows.length} rows that are chosen have`} no number to draw.`);
  const left = drawing?.notShown;
  const ignored = [...filters.values()].filter((filter) => !(filter.column === "layer" && (marksLayer(view) || tables.get(view.table).has("layer"))) && filter.options.length > 1 && !filter.view && !atStart(filter.column) && !view.filters.includes(filter.column));
  if (ignored.length) notes.push(`Not by what is chosen: this chart does not follow ${ignored.map((filter) => filter.label.toLowerCase()).join(", ")}.`);
  if (left && !left.possible) notes.push("No value here is above zero, so that the scale stays linear.");
  else if (left?.never || left?.below) {
    const parts = [];
    if (left.never) parts.push(`${left.never} of ${left.all} values ${left.never === 1 ? "is" : "are"} zero or negative`);
    if (left.below) parts.push(`${left.below} of ${left.all} ${left.below === 1 ? "lies" : "lie"} more than six decades below the largest`);
    notes.push(`Logarithmic scale: ${parts.join(" and ")}; these are not shown. Lines and bands are of all values, and end where they reach zero.`);
  } else if (left) notes.push("Logarithmic scale: every value is above zero and shown.");
  if (left?.under?.length) notes.push(`Below the scale: ${left.under.join("; ")}.`);
  const place = card.querySelector(".scale-note");
  place.textContent = notes.join(" ");
  place.hidden = !notes.length;
  card.querySelectorAll("button.log").forEach((button) => button.setAttribute("aria-pressed", String(state.log.has(view.name))));
}

function buildCharts() {
  for (const view of views.values()) {
    const place = placeOf(view.name), tools = cardOf(view.name).querySelector(".tools");
    if (view.logFields.length) {
      tools.append(make("button", { type: "button", class: "log", "aria-pressed": "false", onclick: () => {
        if (!state.log.delete(view.name)) state.log.add(view.name);
        changed(true);
      } }, "Log scale"));
    }
    buildReadout(view, place);
    buildValues(view);
    watcher.observe(place);
    resized.observe(place);
  }
}

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) widths.set(target, target.clientWidth);
  drawSoon();
});
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) near[entry.isIntersecting || entry.target.dataset.view === page.views[0].name ? "add" : "delete"](entry.target.dataset.view);
  drawSoon();
}, { rootMargin: "500px" });

// Before printing, every chart is drawn in light colours. Vega draws without waiting for anything, so that this is done in time.
addEventListener("beforeprint", () => {
  printing = true;
  document.querySelectorAll("details:not([open]):not(.picker)").forEach((fold) => { fold.open = true; fold.dataset.folded = ""; });
  views.forEach((view) => draw(view));
});
addEventListener("afterprint", () => {
  printing = false;
  document.querySelectorAll("details[data-folded]").forEach((fold) => { fold.open = false; delete fold.dataset.folded; });
  drawSoon();
});
