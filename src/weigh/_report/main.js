// Which view is shown: the address says it, so that links, back and forward work.

const main = document.getElementById("main");
let turn = 0;

function wanted() {
  const text = location.hash.slice(1);
  if (!text || text === "?") return { view: "overview", node: 0 };
  if (text === "?findings") return { view: "findings" };
  if (text === "?changes" && index.changes) return { view: "changes" };
  const numbered = /^\?node=(\d+)$/.exec(text);
  if (numbered && Number(numbered[1]) < size) return placed(Number(numbered[1]));
  let name = text;
  try {
    name = decodeURIComponent(text);
  } catch {
    // A sign of percent that stands for itself.
  }
  const node = places.get(name) ?? places.get(text);
  return node === undefined ? { view: "unknown", name } : placed(node);
}

function placed(node) {
  return node === 0 ? { view: "overview", node } : { view: isTensor(node) ? "tensor" : "layer", node };
}

async function show(focus = false) {
  const mine = ++turn;
  const { view, node, name } = wanted();
  main.setAttribute("aria-busy", "true");
  let parts;
  redraws = [];
  try {
    if (view === "overview") parts = overview();
    else if (view === "findings") parts = findingsView();
    else if (view === "changes") parts = changesView();
    else if (view === "unknown") parts = unknown(name);
    else {
      const item = view === "tensor" ? await tensorDetails(node) : await details(node);
      if (mine !== turn) return;
      redraws = [];
      parts = view === "tensor" ? tensorView(node, item) : layerView(node, item);
    }
  } catch (error) {
    if (mine !== turn) return;
    parts = [el("h1", { tabindex: "-1" }, "This part cannot be shown"), el("p", {}, `The browser says: ${error.message}. A newer one may do better.`)];
    console.error(error);
  }
  main.replaceChildren(...parts.flat(Infinity).filter(Boolean));
  main.setAttribute("aria-busy", "false");
  main.scrollTop = 0;
  scrollTo(0, 0);
  redrawAll();
  const title = node ? label(node) : { findings: "Findings", changes: "What changed" }[view];
  document.title = `${title ? `${shown(title)} - ` : ""}${shown(titleOfAll())} - Weigh`;
  for (const one of document.querySelectorAll("#views a")) {
    if (one.dataset.view === view) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  if (node === undefined) chooseNone();
  else choose(node);
  // On a narrow screen the tree is folded away, and takes the focus with it.
  const folded = document.body.classList.contains("side-shown") && tree.contains(document.activeElement);
  closeSide();
  if (focus || folded) main.querySelector("h1").focus({ preventScroll: true });
}

function unknown(name) {
  return [el("h1", { tabindex: "-1" }, "No such name"), el("p", {}, "Nothing here is called ", nameOf(name), "."),
    el("p", {}, el("a", { href: "#?" }, "The whole network"))];
}

function titleOfAll() {
  return index.sources.map((one) => fileName(one.source) || "a network in memory").join(" and ");
}

function startViews() {
  const views = [["overview", "#?", "Overview", 0], ["findings", "#?findings", "Findings", index.findings.rows.length]];
  if (index.changes) views.push(["changes", "#?changes", "What changed", index.changes.rows.length]);
  document.getElementById("views").append(...views.map(([view, href, text, count]) =>
    el("a", { href, "data-view": view }, text, count ? [" ", el("span", { class: "count" }, number(count))] : null)));
  document.getElementById("brand").textContent = shown(titleOfAll());
}

// The theme: that of the system, until another is chosen.

function startTheme() {
  const button = document.getElementById("theme");
  const update = () => {
    button.setAttribute("aria-pressed", String(themeNow() === "dark"));
    redrawAll();
  };
  button.addEventListener("click", () => {
    const next = themeNow() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    kept("weigh-theme", next);
    update();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update);
  matchMedia("print").addEventListener("change", redrawAll);
  update();
}

// Keys that work everywhere; they can be turned off, for those who speak to their computer.

function startKeys() {
  const help = document.getElementById("help");
  const single = document.getElementById("single");
  single.checked = kept("weigh-keys") !== "off";
  single.addEventListener("change", () => kept("weigh-keys", single.checked ? "on" : "off"));
  document.getElementById("help-open").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input:not([type=radio], [type=checkbox]), textarea");
    if (event.key === "Escape" && !help.open && !typing && !tree.contains(document.activeElement)) {
      toTree();
      return;
    }
    if (typing || help.open || !single.checked || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") box.focus();
    else if (event.key === "?") help.showModal();
    else return;
    event.preventDefault();
  });
}

// On a narrow screen the tree is folded away until it is asked for.

const sideButton = document.getElementById("side-open");

function toTree() {
  if (tree.checkVisibility()) focusItem(current);
  else sideButton.focus();
}

function closeSide() {
  document.body.classList.remove("side-shown");
  sideButton.setAttribute("aria-expanded", "false");
}

function start() {
  document.getElementById("app").hidden = false;
  startViews();
  startTree();
  startSearch();
  startTheme();
  startKeys();
  sideButton.addEventListener("click", () => {
    const open = document.body.classList.toggle("side-shown");
    sideButton.setAttribute("aria-expanded", String(open));
  });
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  addEventListener("hashchange", () => show(!tree.contains(document.activeElement)));
  let waiting = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(redrawAll);
  });
  show();
}

start();
