// The pixels of a film: decoding it, and painting the map and the box on it.

// As in the command line's heat maps: Okabe and Ito's vermilion for, blue against; maps of a network
// that hardly decides stay pale.
const FOR = [213, 94, 0], AGAINST = [0, 114, 178], FULL = 4;
// Their yellow, which no film has; the line's width as a share of the picture's longer side.
const OUTLINE = "rgb(240, 228, 66)", LINE = 1 / 300;
// Of a card's film, pixels: sharp on a screen of two pixels a point.
const LONGEST = 680;

// A film as large as a card shows it; null where the browser cannot decode it. Many films at full
// size would fill the memory of a phone.
export async function small(blob) {
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

export function fromBase64(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

// The map at its own few cells; the canvas smooths it when it is enlarged.
export function coloured(map) {
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

// The map lies on the box that the model looked at; at opacity 0 the film is bare.
export function paint(canvas, film, overlay, opacity, box) {
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
