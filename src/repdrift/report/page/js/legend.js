// The legend of a chart with several panels, once for all of them; and colours as a dark page takes them.
const SVG = "http://www.w3.org/2000/svg";

function themed(color) {
  if (!dark.matches || typeof color !== "string" || !/^#[0-9a-f]{6}$/i.test(color)) return color;
  const parts = [1, 3, 5].map((place) => parseInt(color.slice(place, place + 2), 16));
  const bright = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  const share = Math.max(0, Math.min(0.6, (130 - bright) / 160));
  return `#${parts.map((part) => Math.round(part + share * (255 - part)).toString(16).padStart(2, "0")).join("")}`;
}

function legendOf(view) {
  const list = document.createElement("ul");
  list.className = "legend";
  for (const entry of view.legend) {
    const item = document.createElement("li"), picture = document.createElementNS(SVG, "svg"), words = document.createElement("span");
    picture.setAttribute("viewBox", "0 0 30 12");
    picture.setAttribute("aria-hidden", "true");
    const line = { d: "M0,6H30", stroke: themed(entry.color), "stroke-width": entry.outline ? 2.6 : 1.5, "stroke-dasharray": entry.dash.join(" ") || "none" };
    picture.append(pathOf(line));
    if (entry.outline) picture.append(pathOf({ d: entry.outline, fill: themed(entry.color), transform: "translate(15 6) scale(4.5)" }));
    words.textContent = item.title = entry.words;
    item.append(picture, words);
    list.append(item);
  }
  return list;
}

function pathOf(attributes) {
  const path = document.createElementNS(SVG, "path");
  Object.entries(attributes).forEach(([name, value]) => path.setAttribute(name, value));
  return path;
}
