// Figures, suggestions, copying, drawing while typed. Pages work without it, save for figures.
const root = document.body.dataset.root;
const all = (selector) => [...document.querySelectorAll(selector)];
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const views = {};

function theme() {
  const [ink, soft, line] = ["ink", "soft", "line"].map(colour);
  return {
    background: null, font: "system-ui, sans-serif", view: { stroke: null },
    axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: "normal" },
    legend: { labelColor: soft, titleColor: soft, titleFontWeight: "normal", symbolBaseFillColor: soft, symbolBaseStrokeColor: soft, columns: innerWidth < 500 ? 2 : 0 },
    header: { labelColor: ink, labelFontWeight: "bold" }, text: { color: ink }, rule: { color: soft },
  };
}

// A facet cannot fill its container: it gets as many columns as there is room for.
function fitted(spec, width) {
  if (spec.facet) return { ...spec, columns: Math.max(1, Math.floor(width / 215)) };
  if (typeof spec.width === "number") return { ...spec, width: Math.max(180, Math.min(spec.width, width - 120)) };
  return spec;
}

async function draw() {
  for (const script of all("script[data-for]")) {
    const place = document.getElementById(script.dataset.for);
    const text = script.textContent.replace(/"@(\w+)"/g, (_, name) => JSON.stringify(colour(name)));
    place.replaceChildren();
    const made = await vegaEmbed(place, fitted(JSON.parse(text), place.clientWidth), {
      ast: true, actions: false, renderer: "svg", defaultStyle: false, config: theme(),
      tooltip: { disableDefaultStyle: true }, loader: { target: "_self" },
    });
    views[place.id] = made.view;
  }
  document.documentElement.dataset.charts = "drawn";
}

async function save(button) {
  const view = views[button.dataset.save];
  const as = button.dataset.as;
  const url = as === "svg"
    ? URL.createObjectURL(new Blob([await view.toSVG()], { type: "image/svg+xml" }))
    : await view.toImageURL("png", 2);
  const link = Object.assign(document.createElement("a"), { href: url, download: `${document.title.split(" · ")[0]} ${button.dataset.save}.${as}` });
  link.click();
}

async function suggest(input, list) {
  const text = input.value.trim();
  const answer = text ? await fetch(`${root}/api/v1/suggest?limit=8&q=${encodeURIComponent(text.slice(0, 200))}`) : null;
  if (input.value.trim() !== text) return;
  const { names } = answer && answer.ok ? await answer.json() : { names: [] };
  list.replaceChildren(...names.map((name) => {
    const item = document.createElement("li");
    const link = Object.assign(document.createElement("a"), { href: root + name.href });
    const note = Object.assign(document.createElement("small"), { textContent: `${name.kind} ${name.note}` });
    link.append(name.name, note);
    item.append(link);
    return item;
  }));
  list.hidden = !names.length;
}

function fill(text) {
  for (const part of text.split("|")) {
    const [name, ...rest] = part.split("=");
    document.querySelector(`[name="${name}"]`).value = rest.join("=");
  }
}

let wait;
const later = (action) => { clearTimeout(wait); wait = setTimeout(action, 150); };
const search = document.getElementById("q");
const list = document.getElementById("suggestions");
search.addEventListener("input", () => later(() => suggest(search, list)));
document.addEventListener("keydown", (event) => {
  const inField = /INPUT|TEXTAREA|SELECT/.test(event.target.tagName);
  if (event.key === "/" && !inField) { event.preventDefault(); search.focus(); }
  if (event.key === "Escape") list.hidden = true;
  if (event.key === "ArrowDown" && event.target === search) { event.preventDefault(); list.querySelector("a")?.focus(); }
});
document.addEventListener("click", (event) => {
  const { copy, save: saved, fill: filled } = event.target.dataset ?? {};
  if (copy) navigator.clipboard?.writeText(copy).then(() => { event.target.textContent = "copied"; });
  if (saved) save(event.target);
  if (filled) fill(filled);
  if (!event.target.closest(".search")) list.hidden = true;
});
for (const box of all("[data-draw]")) {
  const image = document.getElementById(box.dataset.draw);
  image.addEventListener("error", () => { image.hidden = true; });
  const show = () => { image.hidden = false; image.src = `${root}/api/v1/drawing.svg?smiles=${encodeURIComponent(box.value.trim())}`; };
  box.addEventListener("input", () => later(show));
  box.addEventListener("drop", async (event) => {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    box.value = (await event.dataTransfer.files[0].text()).slice(0, 2000);
    show();
  });
}
if (all("script[data-for]").length) {
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
