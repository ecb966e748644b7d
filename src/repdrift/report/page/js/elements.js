// Elements of the page. Texts are set as texts: nothing from outside is read as HTML.
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A text whose parts between backticks are code, as the page's own sentences have them. */
function prose(text) {
  const parts = String(text).split(/`([^`\n]+)`/);
  return parts.map((part, place) => (place % 2 ? make("code", {}, part) : part)).filter((part) => part !== "");
}

function placeOf(viewName) {
  return document.querySelector(`.chart[data-view="${CSS.escape(viewName)}"]`);
}

function cardOf(viewName) {
  return placeOf(viewName)?.closest(".view");
}

/** Says something to readers and screen readers, for a moment. */
function announce(text) {
  const place = document.getElementById("announcement");
  place.textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { place.textContent = ""; }, 4000);
}
