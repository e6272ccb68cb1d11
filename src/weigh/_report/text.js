// Text and elements. Whatever comes from a file is shown as text, never as HTML, and what would
// not show in it (controls, overrides of direction) is shown as an escape, as in a terminal.

const HIDDEN = /[\p{C}\p{Z}]/gu;

function shown(text) {
  return String(text).replace(HIDDEN, (letter) => (letter === " " ? letter : escaped(letter)));
}

function escaped(letter) {
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[letter];
  if (short) return short;
  const code = letter.codePointAt(0);
  const [sign, width] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
  return `\\${sign}${code.toString(16).padStart(width, "0")}`;
}

// el("a", {href: "#x", onclick: f}, "text", other): nothing in it is read as HTML.
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : name === "href" ? value : shown(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    made.append(typeof child === "object" ? child : shown(child));
  }
  return made;
}

// A name may be of any script and direction, and breaks where dots are.
function nameOf(text) {
  const parts = shown(text).split(/(?<=[._/])/);
  return el("bdi", { class: "name" }, parts.flatMap((part, at) => (at ? [el("wbr"), part] : [part])));
}

function unseen(text) {
  return el("span", { class: "unseen" }, text);
}

function number(value) {
  return value.toLocaleString("en-US");
}

// About four digits, as in the tables of Weigh.
function short(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-4 ? value.toExponential(3) : value.toPrecision(4);
  return text.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "").replace("e+", "e");
}

// A sentence ends once, whether or not its last words bring a full stop.
function sentence(text) {
  return text.endsWith(".") ? text : `${text}.`;
}

function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function table(heads, rows, attributes = {}) {
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": attributes.caption || "Table" },
    el("table", { class: attributes.class },
      attributes.caption ? el("caption", { class: "unseen" }, attributes.caption) : null,
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map((row) => el("tr", {},
        row.map((cell, at) => (at ? el("td", {}, cell) : el("th", { scope: "row" }, cell))))))));
}

// How a claim is known; what is stated needs no mark.
function known(status) {
  if (status === "inferred") return el("span", { class: "known" }, "inferred");
  if (status === "unknown") return el("span", { class: "known" }, "not known");
  return null;
}

function kept(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch {
    // Where storage is refused, nothing is remembered.
  }
  return null;
}

function say(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  setTimeout(() => { place.textContent = shown(text); }, 50);
}
