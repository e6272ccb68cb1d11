// Histograms: bins of one width, or of one width in the symmetric logarithm.

const WIDE = 720;
const HIGH = 190;
const FOOT = 26;

// Where a number is on an axis: even near 0 as far as least, logarithmic beyond; and the way back.
function scaleOf(least) {
  if (!least) return { to: (x) => x, back: (t) => t };
  return {
    to: (x) => Math.sign(x) * Math.log1p(Math.abs(x) / least),
    back: (t) => Math.sign(t) * least * Math.expm1(Math.abs(t)),
  };
}

// The edges of the bins, as weigh chooses them, where they were not sent along.
function edgesOf({ ends, edges, least, counts }) {
  if (edges) return edges;
  const bins = counts[0].length;
  const [low, high] = ends;
  if (!least) return Array.from({ length: bins + 1 }, (_, at) => (at === bins ? high : low + ((high - low) * at) / bins));
  const { to, back } = scaleOf(least);
  const [first, last] = [to(low), to(high)];
  let places = Array.from({ length: bins + 1 }, (_, at) => first + ((last - first) * at) / bins);
  if (first < 0 && last > 0) {
    const below = Math.min(Math.max(Math.round((bins * -first) / (last - first)), 1), bins - 1);
    const step = Math.max(-first / below, last / (bins - below));
    places = places.map((_, at) => step * (at - below));
  }
  const made = places.map((place) => rounded(back(place)));
  made[0] = Math.min(low, made[0]);
  made[bins] = Math.max(high, made[bins]);
  return made;
}

// To 8 bits, where numbers begin that were counted together.
function rounded(edge) {
  if (!edge) return edge;
  const power = Math.floor(Math.log2(Math.abs(edge))) + 1;
  const part = edge / 2 ** power;
  return Math.round(part * 256) * 2 ** (power - 8);
}

// The share of a distribution below a number.
function below([family, a, b], x) {
  if (family === "constant") return x > a ? 1 : 0;
  if (family === "uniform") return b > a ? Math.min(1, Math.max(0, (x - a) / (b - a))) : x > a ? 1 : 0;
  return b > 0 ? 0.5 * (1 + erf((x - a) / (b * Math.SQRT2))) : x > a ? 1 : 0;
}

// Abramowitz and Stegun 7.1.26: within 1.5e-7, far less than a pixel.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

function histogramBlock(item, names) {
  let scale = kept("weigh-scale") === "symlog" && item.histograms.symlog ? "symlog" : "linear";
  const place = el("div", {});
  const caption = el("figcaption", {});
  const readout = el("p", { class: "readout" }, " ");
  const rows = el("div", {});
  const more = el("details", {}, el("summary", {}, "As a table"), rows);
  const draw = () => {
    const shownNow = item.histograms[scale];
    const edges = edgesOf(shownNow);
    place.replaceChildren(drawHistogram(shownNow, edges, item.initial, readout, names));
    caption.textContent = shown(shownNow.caption.join(" "));
    rows.replaceChildren();
    if (more.open) rows.append(binTable(shownNow, edges, names));
  };
  more.addEventListener("toggle", draw);
  const choice = el("fieldset", { class: "choice" }, el("legend", { class: "unseen" }, "Scale"),
    Object.keys(item.histograms).map((name) => el("label", {},
      el("input", { type: "radio", name: "scale", value: name, checked: name === scale,
        onchange: () => { scale = name; kept("weigh-scale", name); draw(); } }),
      el("span", {}, name === "linear" ? "linear" : "symmetric log"))));
  draw();
  return el("section", {},
    el("div", { class: "heading" }, el("h2", {}, "Distribution"), choice),
    el("figure", { class: "histogram" }, place, readout, histogramKey(item, names), caption, more));
}

function histogramKey(item, names) {
  if (names.length < 2) return null;
  const rows = [["first", names[0]], ["second", names[1]]];
  if (item.initial) rows.push(["expected", "how it begins by default"]);
  return el("ul", { class: "key" }, rows.map(([mark, text]) =>
    el("li", {}, el("span", { class: `swatch ${mark}`, "aria-hidden": "true" }), text)));
}

function binTable({ counts, beyond }, edges, names) {
  const heads = ["from", "to", ...(counts.length > 1 ? names : ["values"])];
  const rows = counts[0].map((_, at) => [short(edges[at]), short(edges[at + 1]), ...counts.map((row) => number(row[at]))]);
  if (beyond) {
    rows.unshift(["", short(edges[0]), ...beyond.map(([under]) => number(under))]);
    rows.push([short(edges.at(-1)), "", ...beyond.map(([, over]) => number(over))]);
  }
  return table(heads, rows, { class: "numbers", caption: "Histogram" });
}

function drawHistogram({ counts, top, beyond, least }, edges, initial, readout, names) {
  const bins = counts[0].length;
  const finite = counts.map((row, at) => row.reduce((sum, count) => sum + count, 0) + (beyond ? beyond[at][0] + beyond[at][1] : 0));
  // What is far from the rest has a bar apart, at either end.
  const aside = beyond ? 22 : 0;
  const wide = WIDE - 2 * aside;
  const { to } = scaleOf(least);
  const [first, last] = [to(edges[0]), to(edges[bins])];
  const x = (value) => aside + ((to(value) - first) / (last - first)) * wide;
  const y = (count) => (count ? Math.min(HIGH - 1, HIGH - Math.min(1, count / top) * (HIGH - 6)) : HIGH);
  const path = (row, close) => `M${x(edges[0]).toFixed(1)} ${HIGH}${row.map((count, at) =>
    `V${y(count).toFixed(1)}H${x(edges[at + 1]).toFixed(1)}`).join("")}V${HIGH}${close ? "Z" : ""}`;
  const constant = initial && below(initial, initial[1] + Math.abs(initial[1]) * 1e-12 + 1e-300) === 1 ? initial[1] : null;
  const expected = initial && constant === null ? edges.slice(1).map((edge, at) => (below(initial, edge) - below(initial, edges[at])) * finite[0]) : [];
  const label = `Histogram of ${plural(finite[0], "finite value")}, drawn from ${short(edges[0])} to ${short(edges[bins])}; the table below has its numbers`;
  const ends = beyond ? beyond.flatMap((pair, one) => pair.map((count, side) => (count ? svg("rect", {
    class: one ? "second-line" : "first-fill", x: String(side ? WIDE - 12 : 4), width: "8",
    y: y(count).toFixed(1), height: (HIGH - y(count)).toFixed(1) }) : null))) : null;
  const picture = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH + FOOT}`, role: "img", "aria-label": label },
    expected.length ? svg("path", { class: "expected-fill", d: path(expected, true) }) : null,
    svg("path", { class: "first-fill", d: path(counts[0], true) }),
    counts[1] ? svg("path", { class: "second-line", d: path(counts[1], false) }) : null,
    ends,
    expected.length ? svg("path", { class: "expected-line", d: path(expected, false) }) : null,
    constant !== null && constant >= edges[0] && constant <= edges[bins] ? svg("path", { class: "expected-line", d: `M${x(constant).toFixed(1)} ${HIGH}V4` }) : null,
    svg("path", { class: "base", d: `M${aside} ${HIGH}H${WIDE - aside}` }),
    ticks(edges, least, x));
  const mark = svg("rect", { class: "pointed", y: "0", height: String(HIGH), visibility: "hidden" });
  picture.append(mark);
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const here = ((event.clientX - box.left) / box.width) * WIDE;
    const at = edges.findIndex((edge, one) => one < bins && here >= x(edge) && here < x(edges[one + 1]));
    if (at < 0) return;
    mark.setAttribute("x", x(edges[at]).toFixed(1));
    mark.setAttribute("width", (x(edges[at + 1]) - x(edges[at])).toFixed(1));
    mark.setAttribute("visibility", "visible");
    const told = counts.length > 1 ? counts.map((row, one) => `${names[one]} ${number(row[at])}`).join(", ") : plural(counts[0][at], "value");
    readout.textContent = shown(`${short(edges[at])} to ${short(edges[at + 1])}: ${told}`);
  });
  picture.addEventListener("pointerleave", () => {
    mark.setAttribute("visibility", "hidden");
    readout.textContent = " ";
  });
  return picture;
}

function ticks(edges, least, x) {
  const [low, high] = [edges[0], edges.at(-1)];
  const made = [];
  let free = -Infinity;
  for (const value of least ? powerTicks(low, high, least) : evenTicks(low, high)) {
    const at = x(value);
    const text = short(value);
    const half = text.length * 3.6;
    if (!Number.isFinite(at) || at - half < free) continue;
    free = at + half + 10;
    const middle = Math.min(WIDE - half, Math.max(half, at));
    made.push(svg("path", { class: "base", d: `M${at.toFixed(1)} ${HIGH}v5` }),
      svg("text", { x: middle.toFixed(1), y: String(HIGH + 19), "text-anchor": "middle" }, text));
  }
  return made;
}

function evenTicks(low, high) {
  const rough = (high - low) / 6;
  if (!(rough > 0 && Number.isFinite(rough))) return [low, high];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((nice) => nice * power >= rough * 0.999999);
  const start = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - start + 1) }, (_, at) => (start + at) * step);
}

function powerTicks(low, high, least) {
  const most = Math.max(Math.abs(low), Math.abs(high));
  const powers = [];
  for (let power = Math.round(Math.log10(least)); 10 ** power <= most; power++) powers.push(Number(`1e${power}`));
  const all = [...powers.toReversed().map((value) => -value), 0, ...powers];
  return all.filter((value) => value >= low && value <= high);
}
