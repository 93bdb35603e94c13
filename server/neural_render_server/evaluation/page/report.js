"use strict";
// The viewer: two layers of one view at a time, under a wipe, side by side, or flipped with the space bar.
const data = JSON.parse(document.getElementById("data").textContent);
const element = (id) => document.getElementById(id);
const stage = element("stage"), first = element("first"), second = element("second");
const MODES = ["wipe", "sides", "a", "b", "all"];
const state = { view: 0, a: 0, b: 1, mode: "wipe", edge: 0.5 };

// Every layer of a view: the truth, then each scene's render, error map and (where it was made) FLIP map.
const layers = [{ label: "truth", path: (view) => view.truth }];
data.scenes.forEach((scene, number) => {
  const of = data.scenes.length > 1 ? ` of ${scene.name}` : "";
  const named = data.scenes.length > 1 ? scene.name : "render";
  layers.splice(number, 0, { label: named, path: (view) => view.layers[number].render });
  layers.push({ label: `error${of}`, path: (view) => view.layers[number].error });
  if (data.views.length && data.views[0].layers[number].flip) {
    layers.push({ label: `FLIP${of}`, path: (view) => view.layers[number].flip });
  }
});

// "all" shows the truth and every scene's render at once.
const figures = layers.slice(0, data.scenes.length + 1).map((layer) => {
  const figure = document.createElement("figure"), image = new Image(), caption = document.createElement("figcaption");
  caption.textContent = layer.label;
  figure.append(image, caption);
  element("all").append(figure);
  return { layer, image };
});

function show() {
  const view = data.views[state.view];
  const all = state.mode === "all";
  element("all").style.display = all ? "grid" : "none";
  stage.style.display = all ? "none" : "";
  for (const { layer, image } of all ? figures : []) { image.src = layer.path(view); }
  first.src = layers[state.a].path(view);
  second.src = layers[state.b].path(view);
  const sides = state.mode === "sides", width = view.width * (sides ? 2 : 1);
  stage.classList.toggle("sides", sides);
  stage.style.aspectRatio = `${width} / ${view.height}`;
  stage.style.maxWidth = `${(0.72 * window.innerHeight * width) / view.height}px`;
  const small = stage.clientWidth > 1.5 * width;
  for (const image of [first, second]) { image.classList.toggle("small", small); }
  const percent = state.mode === "wipe" ? 100 * state.edge : state.mode === "b" ? 0 : sides ? 0 : 100;
  second.style.clipPath = `inset(0 0 0 ${percent}%)`;
  element("edge").style.display = state.mode === "wipe" ? "" : "none";
  element("edge").style.left = `${percent}%`;
  element("tag-a").textContent = layers[state.a].label;
  element("tag-b").textContent = layers[state.b].label;
  element("tag-a").style.display = state.mode === "b" ? "none" : "";
  element("tag-b").style.display = state.mode === "a" ? "none" : "";
  element("where").textContent = view.label;
  element("time").value = state.view;
  element("readings").innerHTML = view.readings;
  element("layer-a").value = state.a;
  element("layer-b").value = state.b;
  for (const mode of MODES) {
    element(`mode-${mode}`).setAttribute("aria-pressed", String(state.mode === mode));
  }
}

function go(view) {
  state.view = Math.max(0, Math.min(data.views.length - 1, view));
  show();
}

// Playing loops over the pictures of the present camera at the capture's rate.
let clock = 0;
function play() {
  const camera = data.views[state.view].camera;
  const own = data.views.map((_, number) => number).filter((number) => data.views[number].camera === camera);
  if (clock || own.length < 2) {
    clearInterval(clock);
    clock = 0;
  } else {
    for (const number of own) {  // ask for them all, so that the first round is smooth too
      for (const layer of [state.a, state.b]) { new Image().src = layers[layer].path(data.views[number]); }
    }
    clock = setInterval(() => go(own[(own.indexOf(state.view) + 1) % own.length]), 1000 / data.fps);
  }
  element("play").textContent = clock ? "pause" : "play";
}
element("play").addEventListener("click", play);

for (const [id, key] of [["layer-a", "a"], ["layer-b", "b"]]) {
  layers.forEach((layer, number) => element(id).add(new Option(layer.label, number)));
  element(id).addEventListener("change", (event) => { state[key] = Number(event.target.value); show(); });
}
for (const mode of MODES) {
  element(`mode-${mode}`).addEventListener("click", () => { state.mode = mode; show(); });
}
element("time").max = data.views.length - 1;
element("time").addEventListener("input", (event) => go(Number(event.target.value)));
window.addEventListener("resize", show);

function wipe(event) {
  if (state.mode !== "wipe" || (event.type === "pointermove" && !event.buttons)) { return; }
  const box = stage.getBoundingClientRect();
  state.edge = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  show();
}
stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); wipe(event); });
stage.addEventListener("pointermove", wipe);
stage.addEventListener("dragstart", (event) => event.preventDefault());

document.addEventListener("keydown", (event) => {
  if (["INPUT", "SELECT"].includes(event.target.tagName)) { return; }
  const keys = {
    ArrowLeft: () => go(state.view - 1),
    ArrowRight: () => go(state.view + 1),
    " ": () => { state.mode = state.mode === "a" ? "b" : "a"; show(); },
    p: () => play(),
    w: () => { state.mode = "wipe"; show(); },
    s: () => { state.mode = "sides"; show(); },
  };
  if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
});

// Whatever stands for a view leads to it.
for (const link of document.querySelectorAll("[data-view]")) {
  link.addEventListener("click", () => {
    const shown = data.views.findIndex((view) => view.number === Number(link.dataset.view));
    if (shown >= 0) { go(shown); element("viewer").scrollIntoView({ behavior: "smooth", block: "center" }); }
  });
}

// Tables sort by the column that is clicked, and back on the second click.
for (const head of document.querySelectorAll("th.sorts")) {
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0], column = head.cellIndex;
    const turn = head.dataset.turn === "1" ? -1 : 1;
    head.dataset.turn = String(turn);
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)], difference = Number(x) - Number(y);
      return turn * (Number.isNaN(difference) ? x.localeCompare(y) : difference);
    });
    body.append(...rows);
  });
}

if (data.views.length) { show(); go(data.start); }
