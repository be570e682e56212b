// Sends films one by one to this device's API and shows the results. Nothing is kept: what is shown
// lives in this page until it is closed or cleared.

import { card } from "./card.js";
import { fromBase64, small } from "./film.js";

const byId = (id) => document.getElementById(id);
const RETRIES = 20;
const CSV = [
  "file", "label", "probability", "logit", "threshold", "borderline", "prevalence", "gate", "distance",
  "reasons", "warnings", "error", "image_sha256", "bundle", "notice",
];

let token = sessionStorage.getItem("token");
let model = null;
let unreachable = false; // The device did not say which model it has.
let waiting = [];
let running = null;
let left = 0; // Films that were not sent, since the user stopped.
// Of every card, in the order of the screen: the newest first.
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
  unreachable = !response;
  if (!response) {
    byId("model").textContent = "The device does not answer.";
    return;
  }
  byId("login").hidden = response.status !== 401;
  if (response.status === 401) {
    byId("model").textContent = "";
    // Without a token there is nothing to blame, and what the form says of a bad one must stay.
    if (asked) byId("login-error").textContent = "The device does not accept this token.";
    token = null;
    sessionStorage.removeItem("token");
    byId("token").focus();
    return;
  }
  if (!response.ok) {
    byId("model").textContent = "The device returned an error when asked for its model.";
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
    byId("login-error").textContent = "A token consists of letters, digits and symbols, without spaces.";
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
byId("drawing").addEventListener("click", async () => {
  try {
    const response = await fetch("drawing.jpeg");
    if (!response.ok) throw new Error(response.status);
    take([new File([await response.blob()], "drawing.jpeg", { type: "image/jpeg" })]);
  } catch {
    say("The device does not answer. Is it on, and is the server running?");
  }
});
byId("stop").addEventListener("click", () => {
  left = waiting.length;
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
  let done = 0;
  try {
    while (waiting.length && !running.signal.aborted) {
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
    say(left ? `${tally()} Stopped: ${left} not sent.` : tally());
    left = 0;
    if (document.activeElement === byId("stop")) byId("files").focus();
    running = null;
    byId("work").hidden = true;
    byId("tools").hidden = !rows.length;
  }
}

// How many films of the page have an answer, and what became of the others.
function tally() {
  const count = (is) => rows.filter(is).length;
  const parts = (model ? model.labels : [])
    .map((label) => [count((row) => row.label === label), label]);
  const answered = count((row) => row.label);
  const failed = count((row) => row.error);
  const suspicious = count((row) => row.label && row.gate.verdict === "suspicious");
  const say = (pairs) => pairs.filter(([n]) => n).map(([n, what]) => `${n} ${what}`).join(", ");
  const answers = say(parts);
  const rest = say([
    [suspicious, "of them suspicious"], [rows.length - answered - failed, "rejected"], [failed, "failed"],
  ]);
  const films = rows.length === 1 ? "1 film" : `${rows.length} films`;
  return `${films}, ${answered} with an answer${answers && `: ${answers}`}${rest && `; ${rest}`}.`;
}

function say(words) {
  byId("status").textContent = words;
}

async function one(file, signal) {
  let result, shown = null;
  try {
    await file.slice(0, 1).arrayBuffer();
  } catch {
    add({ file: file.name, error: { message: "The browser cannot read this file; is it a folder, or has it been removed?" } });
    return;
  }
  if (unreachable) await askModel(); // It may be on by now.
  shown = await small(file);
  try {
    result = await classify(file, !shown, signal);
  } catch (error) {
    const words = signal.aborted ? "Stopped before it was finished." :
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
  rows.unshift(result);
  byId("results").prepend(card(result, film, picture, model));
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
