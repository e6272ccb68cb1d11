// What stands beside the tree: the whole network, a layer, or a tensor.

function crumbs(node) {
  const above = [];
  for (let up = index.parents[node]; up >= 0; up = index.parents[up]) above.unshift(up);
  return el("nav", { class: "crumbs", "aria-label": "Above this" },
    el("ol", {}, above.map((up) => el("li", {}, link(up, up ? el("bdi", {}, index.own[up]) : "network")))));
}

function overview() {
  const many = index.sources.length > 1;
  const rows = children[0].filter((node) => values[node]);
  return [
    el("h1", { tabindex: "-1" }, many ? "Two networks" : nameOf(fileName(index.sources[0].source) || "A network in memory")),
    index.sources.map((one, at) => el("section", { class: "source" },
      el("p", { class: "lead" }, many ? el("strong", {}, at ? "After: " : "Before: ") : null, nameOf(one.source || "in memory"), el("span", { class: "chip" }, one.format), !at && kind(0).name !== "?" ? [el("span", { class: "chip" }, kind(0).name, " ", known(kind(0).status))] : null),
      totals(one.totals),
      one.notes.map((note) => el("p", { class: "note" }, note)),
      one.metadata.length ? el("details", {}, el("summary", {}, "What else the source says"),
        el("dl", { class: "facts" }, one.metadata.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text))))) : null)),
    el("section", {}, el("h2", {}, "At a glance"),
      el("p", {}, el("a", { href: "#?findings" }, counted(index.findings.counts) || "No findings"),
        index.changes ? [" and ", el("a", { href: "#?changes" }, plural(index.changes.rows.length, "changed tensor"))] : null, ".")),
    rows.length ? el("section", {}, el("h2", {}, "Where the parameters are"),
      table(["", "kind", "parameters", "share"], rows.slice(0, 200).map((node) => [
        link(node, el("bdi", { class: "name" }, index.own[node])),
        isTensor(node) ? form(node).role : [kind(node).name, " ", known(kind(node).status)],
        number(values[node]), [bar(values[node] / values[0]), percent(values[node] / values[0])],
      ]), { class: "numbers", caption: "Where the parameters are" }),
      rows.length > 200 ? el("p", { class: "note" }, `${number(rows.length - 200)} more are in the tree.`) : null) : null,
    findingsOf(0), linesBlock(0),
  ];
}

// "1 error, 2 warnings"
function counted(counts) {
  return counts.filter(([, count]) => count).map(([severity, count]) =>
    (severity === "info" ? `${number(count)} info` : plural(count, severity))).join(", ");
}

function percent(share) {
  return `${share && share < 0.001 ? "< 0.1" : (100 * share).toFixed(1)} %`;
}

function fileName(source) {
  return source.split(/[\\/]/).filter(Boolean).at(-1) ?? "";
}

function totals(rows) {
  return el("dl", { class: "cards" }, rows.map(([title, value, words]) =>
    el("div", { class: "card" }, el("dt", {}, title), el("dd", { class: "card-number" }, value), el("dd", { class: "note" }, words))));
}

function layerView(node, item) {
  const { name, status } = kind(node);
  const own = children[node].filter(isTensor);
  const below = children[node].filter((one) => !isTensor(one));
  const rows = own.slice(0, 500).map((one) => {
    const { dtype, shape, count, role, axes } = form(one);
    return [link(one, el("bdi", { class: "name" }, index.own[one])),
      shape ? shape.map((length, at) => `${axes[at]}=${length}`).join(" ") || "scalar" : "not known yet",
      dtype, number(count), index.tied[one] === undefined ? role : ["tied to ", link(index.tied[one])], badges(one)];
  });
  return [
    crumbs(node),
    el("h1", { tabindex: "-1" }, nameOf(label(node))),
    el("p", { class: "lead" }, name ? el("span", { class: "chip" }, name, " ", known(status)) : null,
      item.purpose ? el("span", { class: "chip" }, item.purpose, " ", known("inferred")) : null,
      values[node] ? el("span", { class: "chip" }, plural(values[node], "parameter")) : null),
    findingsOf(node),
    item.same ? el("p", { class: "note" }, "The same layer as ", nameOf(item.same), ".") : null,
    item.line ? el("pre", { class: "repr", tabindex: "0", role: "group", "aria-label": "As PyTorch prints it" }, item.line) : null,
    item.hyper ? el("section", {}, el("h2", {}, "Hyperparameters"),
      table(["name", "value", "known"], item.hyper, { caption: "Hyperparameters" })) : null,
    rows.length ? el("section", {}, el("h2", {}, "Tensors"),
      table(["name", "axes", "dtype", "values", "role", ""], rows, { class: "numbers wide", caption: "Tensors" }),
      own.length > rows.length ? el("p", { class: "note" }, `${number(own.length - rows.length)} more are in the tree.`) : null) : null,
    below.length ? el("section", {}, el("h2", {}, "Layers"),
      table(["name", "kind", "parameters"], below.slice(0, 500).map((one) => [
        link(one, el("bdi", { class: "name" }, index.own[one])), [kind(one).name, " ", known(kind(one).status)], number(values[one])]), { class: "numbers", caption: "Layers" })) : null,
    linesBlock(node),
  ];
}

// What a tied tensor is, is told where it is stored.
async function tensorDetails(node) {
  const item = await details(node);
  const tied = index.tied[node];
  if (tied === undefined) return item;
  const { statistics, histograms, pictures, initial, stored, problem, after } = await details(tied);
  return { ...item, statistics, histograms, pictures, initial, stored, problem, after };
}

// Another network may have another shape of it.
function shapeOf(item, at) {
  return item.pictures.length > 1 ? item.change.sides[at][2] : null;
}

function tensorView(node, item) {
  const { shape } = form(node);
  const tied = index.tied[node];
  const sides = item.after ? ["before", "after"] : [""];
  const titles = item.pictures.length > 1 ? ["before", "after"] : [""];
  return [
    crumbs(node),
    el("h1", { tabindex: "-1" }, nameOf(label(node))),
    el("p", { class: "lead" }, el("span", { class: "chip strong" }, shapeText(shape)),
      item.facts.map(([name, value, status]) => el("span", { class: "chip" },
        ["role", "dtype", "purpose"].includes(name) ? value : `${value} ${name}`, " ", known(status)))),
    tied === undefined ? null : el("p", { class: "note" }, "Tied: the same tensor as ", link(tied), ", whose numbers these are."),
    findingsOf(node),
    changeBlock(item.change),
    item.problem ? el("p", { class: "note" }, sentence(`There are no numbers: ${item.problem}`)) : null,
    item.pictures.length ? el("section", { class: `pictures ${titles.length > 1 ? "two" : ""}` },
      el("h2", { class: "unseen" }, "Picture"),
      item.pictures.map((picture, at) => el("div", { class: "one" }, titles[at] ? el("h3", {}, titles[at]) : null,
        pictureFigure(picture, shapeOf(item, at) ?? shape, `${names[node]}${titles[at] ? `, ${titles[at]}` : ""}`, `picture-${at}`)))) : null,
    item.axes ? el("section", {}, el("h2", {}, "Axes"),
      table(["axis", "size", "meaning", "comes from", "because"], item.axes.map(([name, size, meaning, source, why]) => [name, size, meaning || "?", source, why]), { class: "axes", caption: "Axes" })) : null,
    item.sentences ? el("ul", { class: "sentences" }, item.sentences.map((sentence) => el("li", {}, sentence))) : null,
    item.histograms ? histogramBlock(item, sides) : null,
    item.statistics ? statisticsBlock(item, sides) : null,
    linesBlock(node),
  ];
}
