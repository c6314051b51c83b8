// The page: holds what is chosen, asks the server for pictures, shows them.

import { get, picture, post, postJson, putPhoto, remove, StudioError } from "./api.js";
import { inside, Pad } from "./pad.js";
import { Player } from "./player.js";
import { Stage } from "./stage.js";

const $ = (id) => document.getElementById(id);
const ui = Object.fromEntries([...document.querySelectorAll("[id]")].map((e) => [e.id, e]));
const state = { photo: null, mode: "point", expression: "", original: false, path: null, job: null };
const info = await get("/api/info");
const stage = new Stage(ui);
const player = new Player();
const pad = new Pad(ui.pad, info.states, info.expressions);

// ------------------------------------------------------------------------- messages
function toast(text, kind = "error") {
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  box.setAttribute("role", kind === "error" ? "alert" : "status");
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "\u00d7";
  close.setAttribute("aria-label", "Close the message");
  close.addEventListener("click", () => box.remove());
  box.append(words, close);
  ui.toasts.replaceChildren(box);
  setTimeout(() => box.remove(), kind === "error" ? 12000 : 3000);
}

const failed = (error) => {
  if (!(error instanceof StudioError)) console.error(error);
  toast(error.message);
};

// ---------------------------------------------------------------------------- photos
async function openPhoto(ask) {
  if (!ui.busy.hidden) return;
  ui.busy.hidden = false;
  try {
    usePhoto(await ask());
  } catch (error) {
    failed(error);
  } finally {
    ui.busy.hidden = true;
  }
}

function openFile(file) {
  if (!file) return;
  if (file.size > info.max_photo_bytes) {
    const [most, got] = [info.max_photo_bytes, file.size].map((n) => Math.round(n / 1e6));
    return toast(`file: expected at most ${most} MB, got ${got} MB; save it smaller`);
  }
  openPhoto(() => putPhoto(file));
}

function usePhoto(photo) {
  state.photo = photo;
  state.original = false;
  ui.original.setAttribute("aria-pressed", false);
  stage.setPhoto(photo);
  for (const button of ui.samples.children) {
    button.setAttribute("aria-pressed", photo.sample && button.dataset.name === photo.name);
  }
  const sample = photo.sample && info.samples.find((one) => one.name === photo.name);
  ui.attribution.textContent = sample ? `Portrait of nobody: ${sample.attribution}.` : "";
  for (const button of [ui["mesh-toggle"], ui.original, ui.copy]) button.disabled = false;
  if (photo.faces_found > 1) toast(`${photo.faces_found} faces found; the largest is used`, "note");
  const again = state.path?.ask;
  dropPath();
  live.want();
  if (again && state.mode === "path") makePath(again);
  buttons();
}

// ----------------------------------------------------------------- one picture, live
function wished() {
  const target = { photo: state.photo.key, style: Number(ui.style.value) || 0 };
  if (state.original) return { photo: state.photo.key, valence: 0, arousal: 0 };
  if (state.expression) {
    return { ...target, expression: state.expression, intensity: Number(ui.intensity.value) };
  }
  return { ...target, valence: pad.value[0], arousal: pad.value[1] };
}

// One request at a time; while it runs only the newest wish is kept.
const live = {
  busy: false,
  again: false,
  async want() {
    if (!state.photo) return;
    if (this.busy) return void (this.again = true);
    this.busy = true;
    do {
      this.again = false;
      const [photo, wish, start] = [state.photo, wished(), performance.now()];
      try {
        const frame = await picture(wish, stage.meshOn);
        if (photo !== state.photo || (state.path && !state.original)) continue;
        await stage.show(frame);
        ui.latency.textContent = `${Math.round(performance.now() - start)} ms`;
        if (!state.original) told(frame.told);
      } catch (error) {
        failed(error);
      }
    } while (this.again);
    this.busy = false;
  },
};

function told({ command, action_units: units }) {
  if (command) ui.command.textContent = command;
  const strongest = Object.entries(units || {}).filter(([, x]) => x >= 0.05)
    .sort((a, b) => b[1] - a[1]).slice(0, 4);
  ui.units.textContent = strongest.length
    ? strongest.map(([unit, x]) => `AU${unit} ${x.toFixed(2)}`).join("  ") : "";
}

function showPoint() {
  const [v, a] = pad.value;
  ui.valence.value = v.toFixed(2);
  ui.arousal.value = a.toFixed(2);
  ui.word.textContent = state.expression || pad.word();
  for (const chip of ui.expressions.children) {
    chip.setAttribute("aria-pressed", chip.dataset.name === state.expression);
  }
}

function toPoint() {
  showPoint();
  if (state.mode === "point") {
    dropPath();
    live.want();
  }
}

function useExpression(name) {
  state.expression = name;
  const [v, a] = info.expressions[name], share = Number(ui.intensity.value);
  pad.set(v * share, a * share);
  ui["intensity-value"].textContent = share.toFixed(2);
  showPoint();
}

// ------------------------------------------------------------------------------ paths
let wishes = 0;

async function makePath(ask) {
  if (!state.photo) return toast("Open a photo or choose a sample first", "note");
  const data = {
    ...ask, photo: state.photo.key, fps: Number(ui.fps.value), style: Number(ui.style.value) || 0,
    blinks: ui.blinks.checked, head_motion: ui.head.checked,
  };
  if (ui.timing.value === "stretch") data.seconds = Number(ui.seconds.value);
  const wish = ++wishes;
  try {
    const path = await postJson("/api/paths", data);
    if (wish !== wishes) return;  // answers may overtake each other: the last wish counts
    state.path = { ...path, ask };
    pad.setTrack(path.va);
    ui.command.textContent = path.command;
    const seconds = path.frames / path.fps;
    ui["path-hint"].textContent = path.slowed > 1.01
      ? `Slowed to ${seconds.toFixed(1)} s: faces do not move faster.`
      : `${path.frames} frames, ${seconds.toFixed(1)} s.`;
    ui["path-hint"].classList.toggle("slowed", path.slowed > 1.01);
    ui.scrub.max = path.frames - 1;
    player.load(state.path);
    buttons();
    player.play();
  } catch (error) {
    failed(error);
  }
}

function dropPath() {
  if (!state.path) return;
  player.clear();
  state.path = null;
  pad.setTrack(null);
  ui.scrub.value = 0;
  ui.scrub.max = 0;
  ui.clock.textContent = "\u2013";
  ui.buffered.style.width = "0";
  ui["path-hint"].textContent = "Draw on the disc with mouse or finger, or take one:";
  ui["path-hint"].classList.remove("slowed");
  buttons();
}

const remakePath = () => state.path && makePath(state.path.ask);

player.addEventListener("frame", async ({ detail: { index, frame } }) => {
  if (state.original) return;
  ui.scrub.value = index;
  ui.scrub.setAttribute("aria-valuetext", `${(index / state.path.fps).toFixed(2)} seconds`);
  ui.clock.textContent =
    `${(index / state.path.fps).toFixed(2)} / ${(state.path.frames / state.path.fps).toFixed(2)} s`;
  const va = state.path.va[index];
  pad.setHead(va);
  ui.word.textContent = pad.word(va);
  told(frame.told);
  await stage.show(frame);
});
player.addEventListener("buffer", ({ detail }) => {
  ui.buffered.style.width = `${detail * 100}%`;
});
player.addEventListener("play", () => {
  ui.play.setAttribute("aria-label", player.playing ? "Pause" : "Play");
  ui.play.classList.toggle("playing", player.playing);
});
player.addEventListener("fail", ({ detail }) => failed(detail));

// ---------------------------------------------------------------------------- exports
function buttons() {
  for (const button of document.querySelectorAll("[data-export]")) {
    const kind = button.dataset.export, path = kind !== "picture";
    button.hidden = path !== (state.mode === "path");
    button.disabled = !state.photo || (path && !state.path) || Boolean(state.job)
      || (kind === "waypoints" && !state.path?.csv);
  }
  ui.play.disabled = ui.scrub.disabled = !state.path;
}

function save(href, name) {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  link.click();
}

async function startExport(kind) {
  if (kind === "waypoints") {
    const href = URL.createObjectURL(new Blob([state.path.csv], { type: "text/csv" }));
    save(href, "waypoints.csv");
    return setTimeout(() => URL.revokeObjectURL(href), 10000);
  }
  const wish = kind === "picture" ? wished() : { path: state.path.key };
  try {
    state.job = await postJson("/api/exports", { ...wish, kind });
    buttons();
    while (["waiting", "working"].includes(state.job.state)) {
      ui.job.hidden = false;
      ui["job-text"].textContent = state.job.done < state.job.total
        ? `Making ${kind}: ${state.job.done} of ${state.job.total}` : `Writing ${kind}`;
      ui["job-bar"].value = state.job.done / state.job.total;
      await new Promise((done) => setTimeout(done, 200));
      state.job = await get(`/api/exports/${state.job.key}`);
    }
    if (state.job.state === "failed") throw new StudioError(state.job.message);
    if (state.job.state === "done") {
      save(`/api/files/${state.job.key}`, state.job.file);
      toast(`Saved ${state.job.file}`, "note");
    }
  } catch (error) {
    failed(error);
  } finally {
    state.job = null;
    ui.job.hidden = true;
    buttons();
  }
}

async function copy() {
  const text = ui.command.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission: the old way
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast("Command copied", "note");
}

// ------------------------------------------------------------------------ the controls
for (const { name } of info.samples) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.name = name;
  button.setAttribute("aria-label", `Sample portrait ${name.match(/\d+/)?.[0] ?? name}`);
  button.setAttribute("aria-pressed", false);
  const image = document.createElement("img");
  image.src = `/api/samples/${name}`;
  image.alt = "";
  button.append(image);
  button.addEventListener("click", () => openPhoto(() => postJson("/api/photos/sample", { name })));
  ui.samples.append(button);
}
for (const name of Object.keys(info.expressions)) {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.className = "chip";
  chip.dataset.name = name;
  chip.textContent = name;
  chip.setAttribute("aria-pressed", false);
  chip.addEventListener("click", () => {
    useExpression(name);
    if (state.mode === "point") toPoint();
    else if (name !== "neutral") makePath({ named: `${name}:${ui.intensity.value}` });
  });
  ui.expressions.append(chip);
}

ui.open.addEventListener("click", () => ui.file.click());
ui.file.addEventListener("change", () => {
  openFile(ui.file.files[0]);
  ui.file.value = "";
});
ui["mesh-toggle"].addEventListener("click", () => {
  stage.meshOn = !stage.meshOn;
  ui["mesh-toggle"].setAttribute("aria-pressed", stage.meshOn);
  stage.drawMesh(null);
  player.setMesh(stage.meshOn);
  if (!state.path) live.want();
});
ui.original.addEventListener("click", () => {
  state.original = !state.original;
  ui.original.setAttribute("aria-pressed", state.original);
  if (state.original || !state.path) return live.want();
  player.show(player.index);
});
const endOriginal = () => {
  state.original = false;
  ui.original.setAttribute("aria-pressed", false);
};

pad.addEventListener("move", () => {
  endOriginal();
  state.expression = "";
  toPoint();
});
pad.addEventListener("stroke", ({ detail }) => {
  endOriginal();
  makePath({ points: detail });
});
for (const id of ["valence", "arousal"]) {
  ui[id].addEventListener("change", () => {
    const [v, a] = [Number(ui.valence.value), Number(ui.arousal.value)];
    pad.set(...inside(v || 0, a || 0));
    state.expression = "";
    endOriginal();
    toPoint();
  });
}
ui.intensity.addEventListener("input", () => {
  ui["intensity-value"].textContent = Number(ui.intensity.value).toFixed(2);
  if (!state.expression) return;
  useExpression(state.expression);
  toPoint();
});
for (const radio of document.querySelectorAll('[name="mode"]')) {
  radio.addEventListener("change", () => {
    state.mode = radio.value;
    pad.setMode(state.mode);
    ui["path-options"].hidden = state.mode === "point";
    endOriginal();
    buttons();
    toPoint();
  });
}
for (const button of document.querySelectorAll("[data-path]")) {
  button.addEventListener("click", () => {
    const [v, a] = pad.value, radius = Math.trunc(Math.hypot(v, a) * 100) / 100;
    if (!radius) return toast("Move the dot away from neutral first", "note");
    const apex = button.dataset.path === "apex";
    makePath({ named: apex ? `onset-apex-offset:${v},${a}` : `circle:${radius}` });
  });
}
for (const id of ["fps", "blinks", "head", "seconds"]) ui[id].addEventListener("change", remakePath);
ui.timing.addEventListener("change", () => {
  ui.seconds.disabled = ui.timing.value === "own";
  remakePath();
});

function setStyle(seed) {
  ui.style.value = seed;
  ui.mean.setAttribute("aria-pressed", !seed);
  endOriginal();
  if (state.path) remakePath();
  else live.want();
}
ui.style.addEventListener("change", () => {
  setStyle(Math.min(2147483647, Math.max(0, Math.trunc(Number(ui.style.value) || 0))));
});
ui.dice.addEventListener("click", () => setStyle(1 + Math.floor(Math.random() * 9999)));
ui.mean.addEventListener("click", () => setStyle(0));

ui.play.addEventListener("click", () => {
  endOriginal();
  if (player.playing) player.pause();
  else player.play();
});
ui.scrub.addEventListener("input", () => {
  endOriginal();
  player.pause();
  player.show(Number(ui.scrub.value));
});
ui.loop.addEventListener("click", () => {
  player.loop = !player.loop;
  ui.loop.setAttribute("aria-pressed", player.loop);
});
for (const button of document.querySelectorAll("[data-export]")) {
  button.addEventListener("click", () => startExport(button.dataset.export));
}
ui["job-cancel"].addEventListener("click", () => {
  if (state.job) remove(`/api/exports/${state.job.key}`).catch(failed);
});
ui.copy.addEventListener("click", copy);

// Drag and drop anywhere on the page.
let over = 0;
const files = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => files(event) && (ui.drop.hidden = !++over));
addEventListener("dragleave", (event) => files(event) && (ui.drop.hidden = !--over));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  over = 0;
  ui.drop.hidden = true;
  openFile(event.dataTransfer?.files[0]);
});

showPoint();
buttons();
if (info.photo) get(`/api/photos/${info.photo}`).then(usePhoto, failed);
document.body.dataset.ready = "";
