// Searching names: all words must occur; the shortest names that fit come first.

const MOST = 50;
const box = document.getElementById("search");
const list = document.getElementById("results");
const found = document.getElementById("found");
const folded = names.map((name, node) => (name || index.own[node]).toLowerCase());
let at = -1;

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const hits = [];
  for (let node = 1; node < size; node++) {
    if (words.every((word) => folded[node].includes(word))) hits.push(node);
  }
  const whole = words.join(" ");
  const rank = (node) => (folded[node] === whole ? 0 : folded[node].startsWith(whole) ? 1 : 2);
  return hits.sort((a, b) => rank(a) - rank(b) || folded[a].length - folded[b].length || a - b);
}

function showResults() {
  const text = box.value;
  if (!text.trim()) {
    closeResults();
    return;
  }
  const hits = search(text);
  at = hits.length ? 0 : -1;
  list.replaceChildren(...hits.slice(0, MOST).map((node, place) => el("li", {
    role: "option", id: `result-${place}`, "aria-selected": place ? "false" : "true", "data-node": node,
    onclick: () => goTo(node),
  }, nameOf(label(node)), el("span", { class: "aside" }, isTensor(node) ? shapeText(form(node).shape) : kind(node).name))));
  const more = hits.length > MOST ? `, ${number(hits.length - MOST)} more than are listed` : "";
  document.getElementById("found-count").textContent = hits.length ? `${plural(hits.length, "name")}${more}` : "No name has that in it";
  found.hidden = false;
  list.hidden = !hits.length;
  box.setAttribute("aria-expanded", String(hits.length > 0));
  point(at);
}

function point(to) {
  list.querySelector('[aria-selected="true"]')?.setAttribute("aria-selected", "false");
  at = to;
  const item = list.children[at];
  if (item) {
    item.setAttribute("aria-selected", "true");
    item.scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", item.id);
  } else {
    box.removeAttribute("aria-activedescendant");
  }
}

function closeResults() {
  found.hidden = true;
  list.replaceChildren();
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
  at = -1;
}

function goTo(node) {
  closeResults();
  box.value = "";
  box.blur();
  if (location.hash === hrefOf(node)) show(true);
  else location.hash = hrefOf(node);
}

function startSearch() {
  box.addEventListener("input", showResults);
  box.addEventListener("focus", () => box.value && showResults());
  box.addEventListener("blur", () => setTimeout(() => document.activeElement !== box && closeResults(), 150));
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the box keeps the focus
  box.addEventListener("keydown", (event) => {
    const last = list.children.length - 1;
    if (event.key === "ArrowDown" && last >= 0) point(at >= last ? 0 : at + 1);
    else if (event.key === "ArrowUp" && last >= 0) point(at <= 0 ? last : at - 1);
    else if (event.key === "Enter" && at >= 0) goTo(Number(list.children[at].dataset.node));
    else if (event.key === "Escape") {
      if (found.hidden) toTree();
      box.value = "";
      closeResults();
    } else return;
    event.preventDefault();
  });
}
