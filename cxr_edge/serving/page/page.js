"use strict";
// Sends films one by one to this device's API and shows the results. Nothing is kept: what is shown
// lives in this page until it is closed or cleared.

const byId = (id) => document.getElementById(id);
// As in the command line's heat maps: Okabe and Ito's vermilion for, blue against; maps of a network
// that hardly decides stay pale.
const FOR = [213, 94, 0], AGAINST = [0, 114, 178], FULL = 4;
// Their yellow, which no film has; the line's width as a share of the picture's longer side.
const OUTLINE = "rgb(240, 228, 66)", LINE = 1 / 300;
const GATE_WORDS = {
  accepted: "The input gate found nothing unusual, which does not make the answer right.",
  suspicious: "Something about this film is unusual: take the answer with caution.",
  rejected: "Not a usable frontal chest X-ray: no answer.",
  not_checked: "This model does not check whether an image is a chest X-ray.",
};
const RETRIES = 20;
// Of a card's film, pixels: sharp on a screen of two pixels a point.
const LONGEST = 680;
const CSV = [
  "file", "label", "probability", "logit", "threshold", "borderline", "prevalence", "gate", "distance",
  "reasons", "warnings", "error", "image_sha256", "bundle", "notice",
];

let token = sessionStorage.getItem("token");
let model = null;
let waiting = [];
let done = 0;
let running = null;
const rows = [];

function headers() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// Whoever waits for a token goes on when there is one.
let loggedIn = () => {};

async function askModel() {
  const asked = token;
  let response;
  try {
    response = await fetch("v1/model", { headers: headers() });
  } catch {
    response = null;
  }
  if (token !== asked) return; // A late answer says nothing about the token given since.
  if (!response) {
    byId("model").textContent = "The device does not answer.";
    return;
  }
  byId("login").hidden = response.status !== 401;
  if (response.status === 401) {
    byId("model").textContent = "";
    // Without a token there is nothing to blame, and what the form says of a bad one must stay.
    if (asked) byId("login-error").textContent = "The device does not take this token.";
    token = null;
    sessionStorage.removeItem("token");
    byId("token").focus();
    return;
  }
  if (!response.ok) {
    byId("model").textContent = "The device cannot say which model it has.";
    return;
  }
  model = await response.json();
  byId("model").textContent = 
    `Model ${model.name} ${model.version} (${model.sha256.slice(0, 12)}), ${model.made_with}`;
  loggedIn();
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("token").value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) {
    byId("login-error").textContent = "A token has letters, digits and signs, without spaces.";
    return;
  }
  byId("login-error").textContent = "";
  token = given;
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
  if (!running && waiting.length) work();
}

async function work() {
  byId("work").hidden = false;
  running = new AbortController();
  done = 0;
  try {
    while (waiting.length) {
      const file = waiting.shift();
      say(`Film ${done + 1} of ${done + 1 + waiting.length}: ${file.name}`);
      byId("progress").value = done / (done + 1 + waiting.length);
      try {
        await one(file, running.signal);
      } catch {
        add({ file: file.name, error: { message: "This browser cannot show the answer; is its memory full?" } });
      }
      if (!running.signal.aborted) done += 1;
    }
  } finally {
    say(`${done} ${done === 1 ? "film" : "films"} done.`);
    running = null;
    byId("work").hidden = true;
    byId("tools").hidden = !rows.length;
  }
}

function say(words) {
  byId("status").textContent = words;
}

async function one(file, signal) {
  let result, shown = null;
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    add({ file: file.name, error: { message: "The browser cannot read this file; is it a folder, or gone?" } });
    return;
  }
  shown = await small(file);
  try {
    result = await classify(file, !shown, signal);
  } catch (error) {
    const words = signal.aborted ? "Stopped before it was done." :
      error instanceof TypeError ? "The device does not answer. Is it on, and is the server running?" :
      error.message;
    result = { error: { message: words } };
  }
  let picture = file;
  if (result.picture) {
    picture = fromBase64(result.picture);
    shown = await small(picture);
    delete result.picture;
  }
  add({ ...result, file: file.name }, shown, picture);
}

function add(result, film = null, picture = null) {
  rows.push(result);
  byId("results").prepend(card(result, film, picture));
}

async function classify(file, picture, signal) {
  const address = `v1/classify?map=true${picture ? "&picture=true" : ""}`;
  const form = new FormData();
  form.append("film", file, file.name);
  for (let tried = 0; ; tried += 1) {
    let response;
    try {
      response = await fetch(address, { method: "POST", headers: headers(), body: form, signal });
    } catch (error) {
      // A busy device may end a connection before the film is through.
      if (signal.aborted || tried > 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      continue;
    }
    if (response.status === 503 && tried < RETRIES) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      continue;
    }
    if (response.status === 401) {
      const known = new Promise((resolve, reject) => {
        loggedIn = resolve;
        signal.addEventListener("abort", () => reject(new Error("stopped")));
      });
      say("Waiting for the device's token.");
      byId("login").hidden = false;
      askModel();
      await known;
      continue;
    }
    const body = await response.json().catch(() => ({}));
    if (body.results) return body.results[0];
    throw new Error(body.error ? body.error.message : `The device answered ${response.status}.`);
  }
}

// A film as large as a card shows it; null where the browser cannot decode it. Many films at full
// size would fill the memory of a phone.
async function small(blob) {
  let film;
  try {
    film = await createImageBitmap(blob);
  } catch {
    return null;
  }
  const scale = Math.min(1, LONGEST / Math.max(film.width, film.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * film.width));
  canvas.height = Math.max(1, Math.round(scale * film.height));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(film, 0, 0, canvas.width, canvas.height);
  film.close();
  return canvas;
}

function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

// --- showing results ----------------------------------------------------------------------------

function card(result, film, picture) {
  const item = byId("card").content.firstElementChild.cloneNode(true);
  const part = (selector) => item.querySelector(selector);
  part("h3").textContent = result.file;
  const button = part(".film");
  if (film) {
    const canvas = part("canvas");
    canvas.width = film.width;
    canvas.height = film.height;
    const slider = part(".map input");
    const { activation_map: map, box } = result;
    part(".map").hidden = !map;
    slider.setAttribute("aria-label", `Heat map of ${result.file}`);
    const legend = [
      map && `orange: for ${positive()}, blue: against, compared with normal films; the map is coarse`,
      box && "the box is what the model looked at",
    ].filter(Boolean).join("; ");
    part(".legend").textContent = legend;
    const overlay = map ? coloured(map) : null;
    const draw = () => {
      paint(canvas, film, overlay, slider.value / 100, box);
      part(".legend").hidden = !legend || slider.value === "0";
    };
    slider.addEventListener("input", draw);
    draw();
    button.setAttribute("aria-label", `Show ${result.file} in its own size`);
    button.addEventListener("click", () => enlarge(result.file, picture, overlay, slider.value / 100, box));
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
  if (result.label) item.classList.add(result.label === positive() ? "positive" : "negative");
  const percent = (share) => `${(100 * share).toFixed(1)}%`;
  const scale = part(".scale");
  scale.hidden = result.probability === null;
  if (result.probability !== null) {
    part(".bar").style.width = percent(result.probability);
    part(".threshold").style.left = `calc(${percent(result.threshold)} - 1.5px)`;
    scale.setAttribute("role", "img");
    const prevalence = result.prevalence === null ? "" : `, where ${percent(result.prevalence)} of films show it`;
    const words = `Probability of ${positive()} ${percent(result.probability)}, threshold ${percent(result.threshold)}${prevalence}`;
    scale.setAttribute("aria-label", words);
    part(".numbers").textContent = words;
  }
  part(".gate").textContent = GATE_WORDS[verdict] || verdict;
  part(".gate").classList.add(verdict);
  const borderline = result.borderline
    ? ["borderline: greys that differ by one level could turn the answer"] : [];
  for (const reason of [...result.gate.reasons, ...borderline, ...result.warnings]) {
    const line = document.createElement("li");
    line.textContent = reason;
    part(".reasons").append(line);
  }
  return item;
}

function positive() {
  return model ? model.positive_label : "PNEUMONIA";
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

// The map lies on the box that the model looked at; at opacity 0 the film is bare, and has no legend.
function paint(canvas, film, overlay, opacity, box) {
  const context = canvas.getContext("2d");
  context.globalAlpha = 1;
  context.drawImage(film, 0, 0);
  const { left, top, right, bottom } = box || { left: 0, top: 0, right: 1, bottom: 1 };
  const place = [
    left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height,
  ];
  if (overlay) {
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(overlay, ...place);
  }
  if (box && opacity > 0) {
    const line = Math.max(2, LINE * Math.max(canvas.width, canvas.height));
    const [x, y, width, height] = place;
    context.globalAlpha = 1;
    context.strokeStyle = OUTLINE;
    context.lineWidth = line;
    context.strokeRect(x + line / 2, y + line / 2, width - line, height - line);
  }
}

async function enlarge(name, picture, overlay, opacity, box) {
  const film = await createImageBitmap(picture);
  const canvas = document.createElement("canvas");
  canvas.width = film.width;
  canvas.height = film.height;
  paint(canvas, film, overlay, opacity, box);
  film.close();
  byId("large-film").setAttribute("aria-label", `${name} in its own size`);
  byId("large-film").replaceChildren(canvas);
  byId("large").showModal();
  byId("large-film").focus();
}
byId("large-close").addEventListener("click", () => byId("large").close());
byId("large").addEventListener("close", () => byId("large-film").replaceChildren());

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
      logit: row.logit,
      threshold: row.threshold,
      borderline: row.borderline,
      prevalence: row.prevalence,
      gate: row.gate.verdict,
      distance: row.gate.distance,
      reasons: row.gate.reasons.join("; "),
      warnings: row.warnings.join("; "),
      image_sha256: row.image_sha256,
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
  say("");
  byId("files").focus();
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
