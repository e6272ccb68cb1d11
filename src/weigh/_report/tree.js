// The tree: children are made when their layer is opened, many of them a part at a time.

const PART = 400;
const items = new Map();
const tree = document.getElementById("tree");
let current = null;
let typed = "";
let typedAt = 0;

const BECAME = {
  changed: ["Δ", "changed"], reshaped: ["⇲", "of another shape"], recast: ["≈", "in another dtype"],
  relaid: ["⇄", "in another order"], renamed: ["→", "renamed"], removed: ["−", "only in the first"],
  added: ["+", "only in the second"], unread: ["?", "not compared"],
};
const SIGNS = { error: "✕", warning: "▲", info: "ℹ" };

function treeItem(node, level, at, of) {
  const below = children[node];
  const open = below.length ? "false" : null;
  const item = el("li", {
    role: "treeitem", "aria-level": level, "aria-posinset": at + 1, "aria-setsize": of,
    "aria-expanded": open, "aria-selected": "false", tabindex: "-1", "data-node": node,
  }, el("div", { class: "row" },
    el("span", { class: "twist", "aria-hidden": "true" }),
    el("bdi", { class: "own" }, node === 0 ? "network" : index.own[node]),
    isTensor(node)
      ? el("span", { class: "aside" }, form(node).shape ? shapeText(form(node).shape) : "?")
      : el("span", { class: "aside" }, node === 0 && kind(0).name === "?" ? "" : kind(node).name),
    badges(node)));
  items.set(node, item);
  return item;
}

function badges(node) {
  const made = [];
  const worst = index.worst[node];
  if (worst) made.push(el("span", { class: `badge ${worst}` }, el("span", { "aria-hidden": "true" }, SIGNS[worst]), unseen(`, ${worst}`)));
  const became = index.became[node];
  if (became) made.push(el("span", { class: `badge ${became}` }, el("span", { "aria-hidden": "true" }, BECAME[became][0]), unseen(`, ${BECAME[became][1]}`)));
  return made;
}

// Make the children of a layer, up to some number of them.
function makeChildren(node, upto = PART) {
  const item = items.get(node);
  const below = children[node];
  let group = item.querySelector(":scope > ul");
  if (!group) {
    group = el("ul", { role: "group" });
    item.append(group);
  }
  const made = Number(group.dataset.made ?? 0);
  const wanted = Math.min(below.length, Math.max(upto, made));
  group.querySelector(":scope > .more")?.remove();
  const level = Number(item.getAttribute("aria-level")) + 1;
  const part = document.createDocumentFragment();
  for (let at = made; at < wanted; at++) part.append(treeItem(below[at], level, at, below.length));
  if (wanted < below.length) {
    part.append(el("li", { role: "treeitem", class: "more", "aria-level": level, tabindex: "-1",
      "aria-selected": "false", "data-more": node },
      el("div", { class: "row" }, `${number(below.length - wanted)} more`)));
  }
  group.append(part);
  group.dataset.made = wanted;
}

function setOpen(node, open) {
  const item = items.get(node);
  if (!item || !children[node].length) return;
  if (open) makeChildren(node);
  item.setAttribute("aria-expanded", String(open));
  if (!open && item !== current && item.contains(current)) focusItem(item);
}

// Open what stands above a node, so that it can be seen.
function reveal(node) {
  const above = [];
  for (let up = index.parents[node]; up >= 0; up = index.parents[up]) above.unshift(up);
  for (const up of above) {
    setOpen(up, true);
    const next = above[above.indexOf(up) + 1] ?? node;
    const at = children[up].indexOf(next);
    if (!items.has(next)) makeChildren(up, at + PART);
  }
  return items.get(node);
}

function choose(node) {
  const item = reveal(node);
  tree.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
  item.setAttribute("aria-selected", "true");
  rove(item);
  item.firstElementChild.scrollIntoView({ block: "nearest" });
}

// Without a chosen node: the views of the whole.
function chooseNone() {
  tree.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
}

function rove(item) {
  current?.setAttribute("tabindex", "-1");
  current = item;
  current.setAttribute("tabindex", "0");
}

function focusItem(item) {
  rove(item);
  item.focus({ preventScroll: true });
  item.firstElementChild.scrollIntoView({ block: "nearest" });
}

function visible() {
  return Array.from(tree.querySelectorAll('[role="treeitem"]')).filter((item) => {
    const above = item.parentElement.closest('[role="treeitem"]');
    for (let up = above; up; up = up.parentElement.closest('[role="treeitem"]')) {
      if (up.getAttribute("aria-expanded") !== "true") return false;
    }
    return true;
  });
}

// The item above or below: found by steps, since there may be very many.
function beside(item, down) {
  if (down) {
    if (item.getAttribute("aria-expanded") === "true") return item.querySelector(":scope > ul > li");
    for (let at = item; at; at = at.parentElement.closest('[role="treeitem"]')) {
      if (at.nextElementSibling) return at.nextElementSibling;
    }
    return null;
  }
  let at = item.previousElementSibling;
  if (!at) return item.parentElement.closest('[role="treeitem"]');
  while (at.getAttribute("aria-expanded") === "true") at = at.querySelector(":scope > ul").lastElementChild;
  return at;
}

function activate(item) {
  if (item.dataset.more !== undefined) {
    const node = Number(item.dataset.more);
    const made = Number(item.parentElement.dataset.made);
    makeChildren(node, made + PART);
    focusItem(items.get(children[node][made]));
    return;
  }
  const node = Number(item.dataset.node);
  rove(item);
  if (location.hash === hrefOf(node) || (node === 0 && ["", "#"].includes(location.hash))) show();
  else location.hash = hrefOf(node);
}

function onTreeKey(event) {
  const item = event.target.closest('[role="treeitem"]');
  if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
  const node = Number(item.dataset.node);
  const open = item.getAttribute("aria-expanded");
  const go = (other) => other && focusItem(other);
  const keys = {
    ArrowDown: () => go(beside(item, true)),
    ArrowUp: () => go(beside(item, false)),
    ArrowRight: () => (open === "false" ? setOpen(node, true) : open === "true" && go(beside(item, true))),
    ArrowLeft: () => (open === "true" ? setOpen(node, false) : go(item.parentElement.closest('[role="treeitem"]'))),
    Home: () => go(tree.firstElementChild),
    End: () => go(visible().at(-1)),
    Enter: () => activate(item),
    " ": () => activate(item),
    "*": () => {
      const above = index.parents[node] ?? -1;
      for (const other of above < 0 ? [0] : children[above].slice(0, PART)) setOpen(other, true);
    },
  };
  if (keys[event.key]) keys[event.key]();
  else if (event.key.length === 1 && !"/?".includes(event.key)) typeAhead(event, item);
  else return;
  event.preventDefault();
}

function typeAhead(event, item) {
  typed = event.timeStamp - typedAt > 700 ? event.key : typed + event.key;
  typedAt = event.timeStamp;
  const all = visible();
  const at = all.indexOf(item);
  const order = [...all.slice(at + (typed.length === 1 ? 1 : 0)), ...all.slice(0, at + 1)];
  const wanted = typed.toLowerCase();
  const found = order.find((one) => one.dataset.node !== undefined &&
    shown(index.own[one.dataset.node]).toLowerCase().startsWith(wanted));
  if (found) focusItem(found);
}

function startTree() {
  tree.append(treeItem(0, 1, 0, 1));
  setOpen(0, true);
  rove(tree.firstElementChild);
  // A small network is seen whole.
  for (const node of children[0]) {
    if (!isTensor(node) && children[node].length && size <= 60) setOpen(node, true);
  }
  tree.addEventListener("keydown", onTreeKey);
  tree.addEventListener("click", (event) => {
    const item = event.target.closest('[role="treeitem"]');
    if (!item) return;
    const open = item.getAttribute("aria-expanded");
    const node = Number(item.dataset.node);
    if (event.target.closest(".twist") && open) {
      setOpen(node, open === "false");
      focusItem(item);
      return;
    }
    if (open === "false") setOpen(node, true);
    activate(item);
    if (item.dataset.node !== undefined) focusItem(item);
  });
}
