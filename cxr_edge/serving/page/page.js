"use strict";
// Sends films one by one to this device's API and shows the answers. Nothing is kept: what is shown
// lives in this page until it is closed or cleared.

const byId = (id) => document.getElementById(id);
// As in the command line's heat maps: Okabe and Ito's vermilion for, blue against; maps of a network
// that hardly decides stay pale.
const FOR = [213, 94, 0], AGAINST = [0, 114, 178], FULL = 4;
const GATE_WORDS = {
  accepted: "Looks like the films the model knows.",
  suspicious: "Unlike the films the model knows: take the answer with caution.",
  rejected: "Not a usable frontal chest X-ray: no answer.",
  not_checked: "This model does not check whether an image is a chest X-ray.",
};
const RETRIES = 20;
const CSV = ["file", "label", "probability", "threshold", "gate", "reasons", "warnings", "error", "bundle", "notice"];

let token = sessionStorage.getItem("token");
let model = null;
let waiting = [];
let done = 0;
let running = null;
const rows = [];

function headers() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function askModel() {
  let response;
  try {
    response = await fetch("v1/model", { headers: headers() });
  } catch {
    byId("model").textContent = "The device does not answer.";
    return;
  }
  byId("login").hidden = response.status !== 401;
  if (response.status === 401) {
    byId("model").textContent = "";
    byId("login-error").textContent = token ? "The device does not take this token." : "";
    byId("token").focus();
    return;
  }
  if (!response.ok) {
    byId("model").textContent = "The device cannot say which model it has.";
    return;
  }
  model = await response.json();
  byId("model").textContent = `Model ${model.name} ${model.version} (${model.sha256.slice(0, 12)})`;
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem("token", token);
  askModel();
});

// --- taking films -------------------------------------------------------------------------------

const drop = byId("drop");
byId("files").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take([...event.dataTransfer.files]);
});
byId("stop").addEventListener("click", () => {
  waiting = [];
  if (running) running.abort();
});

function take(files) {
  waiting.push(...files);
  if (!running) work();
}

async function work() {
  byId("work").hidden = false;
  running = new AbortController();
  done = 0;
  while (waiting.length) {
    const file = waiting.shift();
    say(`Film ${done + 1} of ${done + 1 + waiting.length}: ${file.name}`);
    byId("progress").value = done / (done + 1 + waiting.length);
    await one(file, running.signal);
    done += 1;
  }
  byId("progress").value = 1;
  say(`${done} ${done === 1 ? "film" : "films"} done.`);
  running = null;
  byId("work").hidden = true;
  byId("tools").hidden = !rows.length;
}

function say(words) {
  byId("progress-words").textContent = words;
}

async function one(file, signal) {
  const bitmap = await shown(file);
  let result;
  try {
    result = await classify(file, !bitmap, signal);
  } catch (error) {
    const words = signal.aborted ? "Stopped before it was done." :
      error instanceof TypeError ? "The device does not answer. Is it on, and is the server running?" :
      error.message;
    result = { file: file.name, error: { kind: "NotDone", message: words } };
  }
  result.file = file.name;
  rows.push(result);
  const film = bitmap || (result.picture ? await shown(fromBase64(result.picture)) : null);
  delete result.picture;
  byId("results").prepend(card(result, film));
}

async function classify(file, picture, signal) {
  const address = `v1/classify?map=true${picture ? "&picture=true" : ""}`;
  const form = new FormData();
  form.append("film", file, file.name);
  for (let tried = 0; ; tried += 1) {
    const response = await fetch(address, {
      method: "POST",
      headers: headers(),
      body: form,
      signal,
    });
    if (response.status === 503 && tried < RETRIES) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      continue;
    }
    if (response.status === 401) askModel();
    const answer = await response.json();
    if (answer.results) return answer.results[0];
    throw new Error(answer.error ? answer.error.message : `The device answered ${response.status}.`);
  }
}

// What a browser can decode itself need not come back as a picture.
async function shown(blob) {
  try {
    return await createImageBitmap(blob);
  } catch {
    return null;
  }
}

function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

// --- showing answers ----------------------------------------------------------------------------

function card(result, film) {
  const item = byId("card").content.firstElementChild.cloneNode(true);
  const part = (selector) => item.querySelector(selector);
  part("h3").textContent = result.file;
  const button = part(".film");
  if (film) {
    const canvas = part("canvas");
    canvas.width = film.width;
    canvas.height = film.height;
    const slider = part(".map input");
    const map = result.activation_map;
    part(".map").hidden = part(".legend").hidden = !map;
    if (map) part(".legend").textContent = `orange: for ${model ? model.positive_label : "PNEUMONIA"}, blue: against`;
    const overlay = map ? coloured(map) : null;
    const draw = () => paint(canvas, film, overlay, slider.value / 100);
    slider.addEventListener("input", draw);
    draw();
    button.setAttribute("aria-label", `Show ${result.file} in its own size`);
    button.addEventListener("click", () => enlarge(canvas));
  } else {
    button.hidden = part(".map").hidden = part(".legend").hidden = true;
  }
  if (result.error) {
    item.classList.add("error");
    part(".label").textContent = "No answer";
    part(".scale").hidden = true;
    part(".gate").textContent = result.error.message;
    part(".gate").classList.add("failed");
    return item;
  }
  const verdict = result.gate.verdict;
  part(".label").textContent = result.label || "No answer";
  if (result.label) item.classList.add(result.label);
  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  const scale = part(".scale");
  scale.hidden = result.probability === null;
  if (result.probability !== null) {
    const name = model ? model.positive_label : "PNEUMONIA";
    part(".bar").style.width = percent(result.probability);
    part(".threshold").style.left = `calc(${percent(result.threshold)} - 1.5px)`;
    scale.setAttribute("role", "img");
    const words = `Probability of ${name} ${percent(result.probability)}, threshold ${percent(result.threshold)}`;
    scale.setAttribute("aria-label", words);
    part(".numbers").textContent = words;
  }
  part(".gate").textContent = GATE_WORDS[verdict] || verdict;
  part(".gate").classList.add(verdict);
  for (const reason of [...result.gate.reasons, ...result.warnings]) {
    const line = document.createElement("li");
    line.textContent = reason;
    part(".reasons").append(line);
  }
  return item;
}

// The map at its own few cells; the canvas smooths it when it is enlarged.
function coloured(map) {
  const strongest = Math.max(FULL, ...map.values.map(Math.abs));
  const picture = new ImageData(map.width, map.height);
  map.values.forEach((value, index) => {
    const colour = value > 0 ? FOR : AGAINST;
    picture.data.set([...colour, Math.round(255 * Math.abs(value) / strongest)], 4 * index);
  });
  const canvas = document.createElement("canvas");
  canvas.width = map.width;
  canvas.height = map.height;
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas;
}

function paint(canvas, film, overlay, opacity) {
  const context = canvas.getContext("2d");
  context.globalAlpha = 1;
  context.drawImage(film, 0, 0);
  if (!overlay) return;
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(overlay, 0, 0, canvas.width, canvas.height);
}

function enlarge(canvas) {
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  copy.getContext("2d").drawImage(canvas, 0, 0);
  byId("large-film").replaceChildren(copy);
  byId("large").showModal();
}
byId("large-close").addEventListener("click", () => byId("large").close());

// --- CSV, clearing, theme -----------------------------------------------------------------------

function csvText() {
  const quoted = (value) => {
    let text = String(value ?? "");
    // A spreadsheet would run what begins so.
    if (/^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = rows.map((row) => row.error
    ? { file: row.file, error: row.error.message }
    : {
      file: row.file,
      label: row.label,
      probability: row.probability,
      threshold: row.threshold,
      gate: row.gate.verdict,
      reasons: row.gate.reasons.join("; "),
      warnings: row.warnings.join("; "),
      bundle: row.bundle.sha256,
      notice: row.notice,
    });
  return [CSV, ...lines.map((line) => CSV.map((name) => line[name]))]
    .map((cells) => cells.map(quoted).join(",")).join("\r\n") + "\r\n";
}

byId("csv").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csvText()], { type: "text/csv" }));
  link.download = "cxr-edge.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});
byId("clear").addEventListener("click", () => {
  rows.length = 0;
  byId("results").replaceChildren();
  byId("tools").hidden = true;
});

const theme = byId("theme");
function showTheme(dark) {
  document.documentElement.classList.toggle("dark", dark);
  document.documentElement.classList.toggle("light", !dark);
  theme.setAttribute("aria-pressed", String(dark));
}
theme.addEventListener("click", () => showTheme(theme.getAttribute("aria-pressed") !== "true"));
showTheme(matchMedia("(prefers-color-scheme: dark)").matches);

askModel();
