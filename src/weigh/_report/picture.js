// Pictures of tensors: coded cells, drawn in the colours of the theme, that say what they show.

const palettes = Object.fromEntries(Object.entries(index.colours.palettes).map(([theme, text]) =>
  [theme, Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]));
const { middle: MIDDLE, steps: STEPS, marks: MARKS } = index.colours;
const MARK_WORDS = { nan: "NaN", posinf: "+Inf", neginf: "-Inf", below: "below the limit", above: "above the limit" };
const WIDEST = 720;
const HIGHEST = 560;
const POINT_AT = "Point at a cell, or move to it by arrow keys.";
let redraws = [];

function themeNow() {
  if (matchMedia("print").matches) return "light"; // paper is
  const chosen = document.documentElement.dataset.theme;
  return chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function ink(code) {
  const palette = palettes[themeNow()];
  return `rgb(${palette[3 * code]} ${palette[3 * code + 1]} ${palette[3 * code + 2]})`;
}

// The picture in its own pixels, one a cell; what is no cell at all lets the paper through.
function cellsOf(picture) {
  const [rows, columns] = picture.size;
  const palette = palettes[themeNow()];
  const image = new ImageData(columns, rows);
  for (let at = 0; at < rows * columns; at++) {
    const code = picture.codes[at];
    const [from, base] = picture.rgb && code === MIDDLE ? [picture.rgb, 3 * at] : [palette, 3 * code];
    image.data.set([from[base], from[base + 1], from[base + 2], code === 0 ? 0 : 255], 4 * at);
  }
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// The sign of a cell that holds no number within the limits, so that colour is not all that tells.
function glyph(pen, kind, x, y, size) {
  const half = size / 2;
  pen.beginPath();
  if (kind === "nan") {
    pen.moveTo(x - half, y - half); pen.lineTo(x + half, y + half);
    pen.moveTo(x + half, y - half); pen.lineTo(x - half, y + half);
    pen.lineWidth = Math.max(1, size / 4);
    pen.stroke();
    return;
  }
  if (kind === "posinf" || kind === "neginf") {
    const up = kind === "posinf" ? 1 : -1;
    pen.moveTo(x, y - up * half); pen.lineTo(x + half, y + up * half); pen.lineTo(x - half, y + up * half);
  } else {
    pen.arc(x, y + (kind === "below" ? half / 2 : -half / 2), Math.max(0.8, half / 2.2), 0, 7);
  }
  pen.fill();
}

function drawGlyphs(pen, picture, zoom, left, top) {
  const [rows, columns] = picture.size;
  if (!picture.odd) return;
  const small = zoom < 6;
  const sign = small ? 6 : Math.min(zoom * 0.6, 14);
  const paint = `rgb(${index.colours.glyphs[themeNow()].join(" ")})`;
  const clipped = picture.odd[3] + picture.odd[4];
  const taken = new Set();
  for (let at = 0; at < rows * columns; at++) {
    const kind = MARKS[picture.codes[at]];
    // Where signs are larger than cells: none of very many, one of those that are close together.
    if (!kind || (small && clipped > 40 && (kind === "below" || kind === "above"))) continue;
    const x = left + (at % columns + 0.5) * zoom;
    const y = top + (Math.floor(at / columns) + 0.5) * zoom;
    if (small) {
      const near = `${kind} ${Math.floor(x / 12)} ${Math.floor(y / 12)}`;
      if (taken.has(near)) continue;
      taken.add(near);
      pen.fillStyle = ink(picture.codes[at]);
      pen.beginPath();
      pen.arc(x, y, sign * 0.85, 0, 7);
      pen.fill();
    }
    pen.fillStyle = pen.strokeStyle = paint;
    glyph(pen, kind, x, y, sign);
  }
}

function cellText(picture, row, column) {
  const code = picture.codes[row * picture.size[1] + column];
  const kind = MARKS[code];
  const limit = picture.limit;
  if (picture.rgb && code === MIDDLE) return "three values, as red, green and blue";
  if (kind === "above") return `more than ${short(limit)}`;
  if (kind === "below") return `less than ${short(-limit)}`;
  if (kind) return MARK_WORDS[kind];
  const share = (code - MIDDLE) / STEPS;
  if (picture.limits) return `about ${Math.round(100 * share)} % of its filter's limit`;
  return `about ${short(share * limit)}`;
}

// Which positions along each axis of the tensor a cell shows; null between cells.
function indexOf(plan, shape, row, column) {
  const [down, right, starts, colour] = plan;
  const cell = shape.map(() => 0);
  for (const [parts, place] of [[down, row], [right, column]]) {
    let left = place;
    for (const [axis, size, pitch, stride] of parts) {
      const step = Math.floor(left / pitch);
      left -= step * pitch;
      if (step >= size) return null;
      cell[axis] += step * stride;
    }
    if (left) return null;
  }
  const found = cell.map((at, axis) => {
    if (axis === colour) return [0, shape[axis]];
    const begins = starts[axis];
    if (Array.isArray(begins)) return [begins[at], begins[at + 1] ?? shape[axis]];
    return [at * begins, Math.min(shape[axis], (at + 1) * begins)];
  });
  return found.every(([start, stop], axis) => start < stop && start < shape[axis]) ? found : null;
}

function placeText(picture, shape, row, column) {
  const found = indexOf(picture.plan, shape, row, column);
  if (!found) return null;
  return `[${found.map(([start, stop]) => (stop - start > 1 ? `${start}:${stop}` : start)).join(", ")}]`;
}

function pictureFigure(picture, shape, title, id) {
  if (picture.problem) return el("p", { class: "note" }, sentence(`There is no picture: ${picture.problem}`));
  const [rows, columns] = picture.size;
  const canvas = el("canvas", { role: "img", "aria-label": title, "aria-describedby": `${id}-caption` });
  const readout = el("p", { class: "readout", "aria-live": "polite" }, POINT_AT);
  const frame = el("div", {
    class: "frame", tabindex: "0", role: "application", "aria-roledescription": "picture",
    "aria-label": `Cells of ${title}. Arrow keys go from cell to cell.`, "aria-describedby": `${id}-caption`,
  }, canvas);
  let chosen = null;
  let zoom = 1;
  let [left, top] = [0, 0];
  let cells = null;

  function draw() {
    const room = Math.max(120, Math.min(WIDEST, (frame.parentElement?.clientWidth || WIDEST) - 2));
    const pen = canvas.getContext("2d");
    pen.font = "11px system-ui, sans-serif";
    const texts = (picture.rows ?? []).map(([, , text]) => pen.measureText(shown(text)).width);
    left = texts.length ? Math.min(140, Math.ceil(Math.max(...texts)) + 8) : 0;
    top = picture.columns ? 18 : 0;
    zoom = Math.min(36, (room - left) / columns, HIGHEST / rows);
    zoom = zoom >= 2 ? Math.floor(zoom) : Math.max(zoom, 1);
    const sharp = devicePixelRatio || 1;
    const [width, height] = [left + columns * zoom, top + rows * zoom];
    canvas.width = Math.round(width * sharp);
    canvas.height = Math.round(height * sharp);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(cells, left, top, columns * zoom, rows * zoom);
    drawGlyphs(pen, picture, zoom, left, top);
    drawLabels(pen);
    if (chosen) {
      const [row, column] = chosen;
      const [x, y] = [left + column * zoom, top + row * zoom];
      pen.lineWidth = 3;
      pen.strokeStyle = getComputedStyle(document.body).backgroundColor;
      pen.strokeRect(x - 1, y - 1, zoom + 2, zoom + 2);
      pen.lineWidth = 1.5;
      pen.strokeStyle = getComputedStyle(document.body).color;
      pen.strokeRect(x - 1, y - 1, zoom + 2, zoom + 2);
    }
  }

  function drawLabels(pen) {
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = getComputedStyle(readout).color;
    pen.textBaseline = "middle";
    let free = -1;
    for (const [start, stop, text] of picture.rows ?? []) {
      const y = top + ((start + stop) / 2) * zoom;
      if (y - 6 < free) continue;
      pen.textAlign = "right";
      pen.fillText(shown(text), left - 6, y, left - 6);
      free = y + 6;
    }
    free = -1;
    for (const [start, stop, text] of picture.columns ?? []) {
      const wide = pen.measureText(shown(text)).width;
      const x = left + ((start + stop) / 2) * zoom;
      if (x - wide / 2 < free) continue;
      pen.textAlign = "center";
      pen.fillText(shown(text), x, 8);
      free = x + wide / 2 + 8;
    }
  }

  function redraw() {
    cells = cellsOf(picture);
    draw();
  }

  function point(row, column) {
    chosen = [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))];
    const place = placeText(picture, shape, ...chosen);
    readout.textContent = place ? shown(`${place}  ${cellText(picture, ...chosen)}`) : "between cells";
    draw();
  }

  function leave() {
    chosen = null;
    readout.textContent = POINT_AT;
    draw();
  }

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - left) / zoom);
    const row = Math.floor((event.clientY - box.top - top) / zoom);
    if (row >= 0 && row < rows && column >= 0 && column < columns) point(row, column);
  });
  canvas.addEventListener("pointerleave", () => document.activeElement !== frame && leave());
  frame.addEventListener("focus", () => !chosen && frame.matches(":focus-visible") && point(0, 0));
  frame.addEventListener("blur", leave);
  frame.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [-1e9, -1e9], End: [1e9, 1e9] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = chosen ?? [0, 0];
    point(row + step[0], column + step[1]);
  });
  redraws.push(redraw);
  const figure = el("figure", { class: "picture" },
    frame, readout, legend(picture),
    el("figcaption", { id: `${id}-caption` }, (picture.caption ?? []).map((sentence) => el("span", {}, sentence, " "))));
  figure.redraw = redraw;
  return figure;
}

function legend(picture) {
  const odd = (picture.odd ?? []).map((count, at) => [count, Object.values(MARKS)[at], Number(Object.keys(MARKS)[at])]);
  const there = odd.filter(([count]) => count);
  if (picture.rgb && !there.length) return null;
  return el("div", { class: "legend" }, picture.rgb ? null : colourBar(picture),
    el("ul", { class: "marks" }, there.map(([count, kind, code]) =>
      el("li", {}, markSign(kind, code), ` ${number(count)} ${MARK_WORDS[kind]}`))));
}

function colourBar(picture) {
  const canvas = el("canvas", { class: "ramp", width: String(2 * STEPS + 1), height: "1", "aria-hidden": "true" });
  redraws.push(() => {
    const pen = canvas.getContext("2d");
    for (let at = 0; at <= 2 * STEPS; at++) {
      pen.fillStyle = ink(MIDDLE - STEPS + at);
      pen.fillRect(at, 0, 1, 1);
    }
  });
  const ends = picture.limits ? ["-limit", "0", "+limit"] : [short(-picture.limit), "0", short(picture.limit)];
  return el("div", { class: "bar-of-colours" }, canvas, el("div", { class: "ends" }, ends.map((end) => el("span", {}, end))));
}

function markSign(kind, code) {
  const canvas = el("canvas", { class: "sign", width: "28", height: "28", "aria-hidden": "true" });
  redraws.push(() => {
    const pen = canvas.getContext("2d");
    pen.fillStyle = ink(code);
    pen.fillRect(0, 0, 28, 28);
    pen.fillStyle = pen.strokeStyle = `rgb(${index.colours.glyphs[themeNow()].join(" ")})`;
    glyph(pen, kind, 14, 14, 16);
  });
  return canvas;
}

function redrawAll() {
  for (const redraw of redraws) redraw();
}
