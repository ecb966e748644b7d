// Colours, links within the page and to this view, and texts to be copied.
const darkSystem = matchMedia("(prefers-color-scheme: dark)");
let printing = false;

function isDark() {
  return !printing && (state.theme === "auto" ? darkSystem.matches : state.theme === "dark");
}

function showTheme() {
  if (state.theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = state.theme;
  const button = document.getElementById("theme");
  button.textContent = `Colours: ${state.theme}`;
}

function buildTools() {
  document.getElementById("tools").append(
    make("button", { type: "button", id: "theme", title: "Follow the system, light, or dark", onclick: () => {
      state.theme = THEMES[(THEMES.indexOf(state.theme) + 1) % THEMES.length];
      changed();
    } }),
    make("button", { type: "button", id: "copy-link", onclick: () => copyText(location.href, "The link to this view is copied.") }, "Copy a link to this view"));
  document.querySelectorAll("[data-copy]").forEach((place) => {
    place.before(copyButton(() => place.textContent, place.dataset.copy));
  });
}

function copyButton(text, what) {
  return make("button", { type: "button", class: "copy", onclick: () => copyText(text(), `${what} copied.`) }, "Copy");
}

async function copyText(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    announce(said);
  } catch {
    const field = make("textarea", { readonly: true, "aria-label": "Text to copy" }, text);
    document.body.append(field);
    field.select();
    announce(document.execCommand("copy") ? said : "The browser does not let this page copy. Copy from the address bar, or mark the text.");
    field.remove();
  }
}

let kept = null;

/** Holds a part of the page where it is while the charts around it are drawn and grow, until the reader moves on. */
function keepInSight(target) {
  const end = performance.now() + 4000;
  let last = target.getBoundingClientRect().top;
  kept = target;
  const look = () => {
    if (kept !== target || performance.now() > end) return;
    if (Math.abs(target.getBoundingClientRect().top - last) > 1) target.scrollIntoView({ behavior: "instant" });
    last = target.getBoundingClientRect().top;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(name, () => { kept = null; }, { passive: true });

/** Goes to a part of the page, and opens the folds around it, and its own. */
function goTo(name) {
  const target = name && document.getElementById(name);
  if (!target) return false;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  const own = target.querySelector(":scope > details.fold");
  if (own) own.open = true;
  target.scrollIntoView({ behavior: "instant" });
  keepInSight(target);
  if (!target.matches("a, button, input, select, summary, [tabindex]")) target.tabIndex = -1;
  target.focus({ preventScroll: true });
  return true;
}

// The fragment holds the state, so that a link within the page moves without changing it.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="#"]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const name = decodeURIComponent(link.getAttribute("href").slice(1));
  const model = /^model-(\d{1,6})$/.exec(name);
  if (model) openModel(Number(model[1]));
  else goTo(name);
});
