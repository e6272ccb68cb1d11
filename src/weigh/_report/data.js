// What the page holds: the index, read at once, and details in chunks, unpacked when asked for.

const index = JSON.parse(document.getElementById("index").textContent);
const size = index.own.length;
const names = new Array(size);
const children = Array.from({ length: size }, () => []);
const values = new Float64Array(size);
const places = new Map();

for (let node = 0; node < size; node++) {
  const above = index.parents[node];
  const over = above < 0 ? "" : names[above];
  names[node] = index.names[node] ?? (over ? `${over}.${index.own[node]}` : index.own[node]);
  if (above >= 0) children[above].push(node);
}
for (let node = size - 1; node > 0; node--) {
  if (isTensor(node) && counts(node)) values[node] = form(node).count;
  values[index.parents[node]] += values[node];
}
for (let node = 0; node < size; node++) {
  const there = places.get(names[node]);
  if (there === undefined || (isTensor(node) && !isTensor(there))) places.set(names[node], node);
}
const seconds = new Set(index.second);

function isTensor(node) {
  return index.whats[node] < 0;
}

function form(node) {
  const [dtype, shape, count, role, axes] = index.forms[-1 - index.whats[node]];
  return { dtype, shape, count, role, axes };
}

function kind(node) {
  const [name, status] = index.kinds[index.whats[node]];
  return { name, status };
}

// Whether a tensor adds to the parameters of its layer: a tied one is counted where it is stored.
function counts(node) {
  return ["learnable", "frozen", "quantized"].includes(form(node).role) &&
    index.tied[node] === undefined && index.became[node] !== "added";
}

function label(node) {
  return node === 0 ? "the network" : names[node] || index.own[node];
}

// The path that stands in the address: the name itself where it can be told by it alone.
function hrefOf(node) {
  if (node === 0) return "#?";
  if (names[node] && places.get(names[node]) === node && names[node].isWellFormed?.() !== false) {
    try {
      return `#${encodeURIComponent(names[node]).replace(/%2F/g, "/").replace(/%5B/g, "[").replace(/%5D/g, "]")}`;
    } catch {
      // Half a letter has no address.
    }
  }
  return `#?node=${node}`;
}

function link(node, text) {
  return el("a", { href: hrefOf(node) }, text ?? nameOf(label(node)));
}

function shapeText(shape) {
  if (!shape) return "shape not known yet";
  return shape.length ? shape.join(" × ") : "scalar";
}

function sourceOf(node) {
  return index.sources[seconds.has(node) ? 1 : 0].source;
}

const unpacked = new Map();

async function details(node) {
  let low = 0;
  let high = index.chunks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (index.chunks[middle] <= node) low = middle;
    else high = middle - 1;
  }
  if (!unpacked.has(low)) unpacked.set(low, unpack(low));
  const { items, cells } = await unpacked.get(low);
  const item = items[node - index.chunks[low]];
  let at = item.cells ?? 0;
  const take = (length) => cells.subarray(at, (at += length));
  const pictures = (item.pictures ?? []).map((picture) => {
    if (picture.problem) return picture;
    const [rows, columns] = picture.size;
    const codes = take(rows * columns);
    return { ...picture, codes, rgb: picture.rgb ? take(3 * rows * columns) : null };
  });
  return { ...item, pictures };
}

async function unpack(at) {
  const place = document.getElementById(`chunk-${at}`);
  const letters = atob(place.textContent);
  const packed = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const whole = new Uint8Array(await new Response(stream).arrayBuffer());
  const length = new DataView(whole.buffer).getUint32(0, true);
  const items = JSON.parse(new TextDecoder().decode(whole.subarray(4, 4 + length)));
  return { items, cells: whole.subarray(4 + length) };
}
