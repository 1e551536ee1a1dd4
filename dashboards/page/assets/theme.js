// Light and dark. Figures travel in the light colours; the dark ones of `dashboards/figures/palette.py` take their
// place. On paper everything is light.

const DARK = JSON.parse(document.getElementById("dark-colours").textContent);
const KEPT = "orch-theme";
const root = document.documentElement;
const wish = matchMedia("(prefers-color-scheme: dark)");
let printing = false;

export function isDark() {
  if (printing) return false;
  return root.dataset.theme ? root.dataset.theme === "dark" : wish.matches;
}

/** A copy of traces or of a layout in the colours of the theme. */
export function coloured(value, dark = isDark()) {
  if (typeof value === "string") return dark ? darkened(value) : value;
  if (!value || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item) => coloured(item, dark));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, dark)]));
}
function darkened(text) {
  return DARK[text] || text.replace(/color:(#[0-9a-f]{6})/g, (_, colour) => `color:${DARK[colour] || colour}`);
}

const rgb = (hex) => `rgb(${[1, 3, 5].map((place) => Number.parseInt(hex.slice(place, place + 2), 16)).join(", ")})`;
const pairs = Object.entries(DARK)
  .filter(([light]) => light.startsWith("#"))
  .map((pair) => pair.map(rgb));
const toDark = new Map(pairs);
const toLight = new Map(pairs.map(([light, dark]) => [dark, light]));

/** Exchange the colours of what is drawn, in a third of the time of drawing it; what plotly holds stays as it was. */
export function recolour(chart) {
  const colours = isDark() ? toDark : toLight;
  for (const node of chart.querySelectorAll("[style*=rgb]")) {
    const style = node.getAttribute("style");
    node.setAttribute(
      "style",
      style.replace(/rgb\([^)]*\)/g, (colour) => colours.get(colour) || colour),
    );
  }
}

/** Make everything light for as long as the page is on paper. */
export function forPaper(on) {
  printing = on;
  root.classList.toggle("printing", on);
}

export function isOnPaper() {
  return printing;
}

/** Call back whenever another theme is to be shown. */
export function onTheme(changed) {
  wish.addEventListener("change", changed);
  document.getElementById("theme")?.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(KEPT, root.dataset.theme);
    } catch {
      // a page from disk may not keep it
    }
    changed();
  });
}

try {
  const kept = localStorage.getItem(KEPT);
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
} catch {
  // a page from disk may not remember
}
