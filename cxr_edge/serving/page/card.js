// The answer for one film as a card, and the film enlarged.

import { coloured, paint } from "./film.js";

const byId = (id) => document.getElementById(id);
const GATE_WORDS = {
  accepted: "The input gate, which checks for unusual films, found nothing unusual; the answer can still be wrong.",
  suspicious: "The input gate found something unusual about this film: use the answer with caution.",
  rejected: "Not a usable frontal chest X-ray: no answer.",
  not_checked: "This model does not check whether an image is a chest X-ray.",
};

// film: the small canvas, or null where none can be shown; picture: the blob to enlarge; model: the
// device's description of it, or null where it gave none.
export function card(result, film, picture, model) {
  const item = byId("card").content.firstElementChild.cloneNode(true);
  const part = (selector) => item.querySelector(selector);
  part("h3").textContent = result.file;
  const positive = model ? model.positive_label : "the positive label";
  const legend = [
    result.activation_map && `orange: for ${positive}, blue: against, compared with normal films; the map is coarse`,
    result.box && "the box is what the model looked at",
  ].filter(Boolean).join("; ");
  const why = reason(result, positive, model);
  if (film) {
    const { activation_map: map, box } = result;
    const overlay = map ? coloured(map) : null;
    const slider = part(".map input");
    slider.setAttribute("aria-label", `Heat map of ${result.file}`);
    part(".map").hidden = !map;
    part(".legend").textContent = legend;
    const canvas = part("canvas");
    canvas.width = film.width;
    canvas.height = film.height;
    const draw = () => {
      paint(canvas, film, overlay, slider.value / 100, box);
      part(".legend").hidden = !legend || slider.value === "0";
    };
    slider.addEventListener("input", draw);
    draw();
    part(".film").setAttribute("aria-label", `Enlarge ${result.file}`);
    part(".film").addEventListener("click", () => {
      enlarge({
        name: result.file, label: result.label || "No answer", why, picture, small: film, overlay, box,
        opacity: slider.value,
      });
    });
  } else {
    part(".film").hidden = part(".map").hidden = part(".legend").hidden = true;
  }
  if (result.error) {
    item.classList.add("error");
    part(".label").textContent = "No answer";
    part(".scale").hidden = true;
    part(".gate").textContent = result.error.message;
    part(".gate").classList.add("failed");
    return item;
  }
  part(".label").textContent = result.label || "No answer";
  if (result.label) {
    item.classList.add(result.probability >= result.threshold ? "positive" : "negative");
  }
  part(".scale").hidden = result.probability === null;
  if (result.probability !== null) {
    part(".bar").style.width = percent(result.probability);
    part(".threshold").style.left = `calc(${percent(result.threshold)} - 1.5px)`;
    part(".scale").setAttribute("aria-label",
      `Probability ${percent(result.probability)}, threshold ${percent(result.threshold)}`);
    part(".numbers").textContent = why;
    if (result.prevalence !== null) {
      part(".prevalence").textContent =
        `Probabilities are calibrated for a prevalence of ${percent(result.prevalence)} ${positive}.`;
    }
  }
  part(".gate").textContent = GATE_WORDS[result.gate.verdict] || result.gate.verdict;
  part(".gate").classList.add(result.gate.verdict);
  const borderline = result.borderline
    ? ["borderline: a change of one grey level could change the answer or the gate's verdict"] : [];
  for (const words of [...result.gate.reasons, ...borderline, ...result.warnings]) {
    const line = document.createElement("li");
    line.textContent = words;
    part(".reasons").append(line);
  }
  return item;
}

function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)}%`;
}

// Why a film of 36% can be positive, in one sentence.
function reason({ probability, threshold }, positive, model) {
  if (typeof probability !== "number") return "";
  let digits = 1; // More where both would read the same.
  while (digits < 6 && probability !== threshold && percent(probability, digits) === percent(threshold, digits)) {
    digits += 1;
  }
  const rule = model ? ` (chosen on ${model.threshold_chosen_on}: ${model.threshold_rule})` : "";
  return `The probability of ${positive} is ${percent(probability, digits)}, ` +
    `${probability < threshold ? "below" : "at or above"} the threshold of ${percent(threshold, digits)}${rule}.`;
}

// --- the enlarged film --------------------------------------------------------------------------

const large = byId("large"), largeSlider = byId("large-map"), largeSize = byId("large-size");
let redraw = () => {}, newest = 0, bitmap = null;

async function enlarge({ name, label, why, picture, small, overlay, box, opacity }) {
  // What was chosen may be gone, as with a stick that was pulled out; the card's film is left.
  const click = newest += 1;
  const film = await createImageBitmap(picture).catch(() => small);
  if (click !== newest) {
    if (film !== small) film.close();
    return; // Another film was asked for meanwhile.
  }
  bitmap = film === small ? null : film;
  const canvas = document.createElement("canvas");
  canvas.width = film.width;
  canvas.height = film.height;
  redraw = () => paint(canvas, film, overlay, largeSlider.value / 100, box);
  largeSlider.value = opacity;
  largeSlider.parentElement.hidden = !overlay;
  redraw();
  byId("large-name").textContent = name;
  byId("large-label").textContent = label;
  byId("large-why").textContent = why;
  byId("large-film").replaceChildren(canvas);
  actualSize(false);
  if (!large.open) large.showModal();
  byId("large-film").focus();
}

function actualSize(wanted) {
  large.classList.toggle("actual", wanted);
  largeSize.setAttribute("aria-pressed", String(wanted));
}

largeSlider.addEventListener("input", () => redraw());
largeSize.addEventListener("click", () => actualSize(!large.classList.contains("actual")));
byId("large-close").addEventListener("click", () => large.close());
large.addEventListener("close", () => {
  redraw = () => {};
  if (bitmap) bitmap.close();
  bitmap = null;
  byId("large-film").replaceChildren();
});
