"use strict";
const root = document.documentElement;
root.classList.remove("no-script");

const toggle = document.getElementById("theme");
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const tell = () => { toggle.textContent = isDark() ? "Light" : "Dark"; };
toggle.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; tell(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
tell();

const genes = JSON.parse(document.getElementById("genes").textContent);
const matches = [...document.querySelectorAll(".match")];
const buttons = [...document.querySelectorAll(".list button")];
function show(key) {
  matches.forEach((match) => { match.hidden = match.id !== key; });
  buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.match === key)));
}
buttons.forEach((button) => button.addEventListener("click", () => show(button.dataset.match)));
if (buttons.length) show(buttons[0].dataset.match);

const search = document.getElementById("search");
if (search) search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/);
  buttons.forEach((button) => { button.hidden = !words.every((word) => button.textContent.toLowerCase().includes(word)); });
});

// The name of the dot nearest to the pointer: the path lists its dots as "Mx yh0".
function nearest(svg, event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  let best = null, least = 64;
  svg.querySelectorAll("path[data-genes]").forEach((path) => {
    const names = path.dataset.genes.split(" ");
    path.getAttribute("d").slice(1).split("M").forEach((dot, place) => {
      const [x, y] = dot.split("h")[0].split(" ").map(Number);
      const far = (x - at.x) ** 2 + (y - at.y) ** 2;
      if (far < least) { least = far; best = genes[names[place]]; }
    });
  });
  return best;
}
document.querySelectorAll(".match svg").forEach((svg) => svg.addEventListener("pointermove", (event) => {
  const name = nearest(svg, event);
  svg.closest(".match").querySelector(".says").textContent = name ? `Gene under the pointer: ${name}` : "";
}));
