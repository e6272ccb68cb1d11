// What changed from the first network to the second.

function becameMark(became) {
  const [sign, words] = BECAME[became] ?? ["=", "the same, bit for bit"];
  return el("span", { class: `became ${became}` }, el("span", { "aria-hidden": "true" }, sign), ` ${words}`);
}

function changesView() {
  const { story, counts, rows, ties, notes } = index.changes;
  const sorted = [...rows].sort((a, b) => weight(b) - weight(a));
  return [
    el("h1", { tabindex: "-1" }, "What changed"),
    el("p", { class: "lead" }, "From ", nameOf(index.sources[0].source || "the first"), " to ", nameOf(index.sources[1].source || "the second")),
    story.length ? el("ul", { class: "story" }, story.map(([text, status]) => el("li", {}, text, " ", known(status)))) : null,
    el("ul", { class: "cards" }, counts.filter(([, count]) => count).map(([became, count]) =>
      el("li", { class: "card" }, el("span", { class: "card-number" }, number(count)), becameMark(became)))),
    changesTable(sorted),
    ties.length ? el("section", {}, el("h2", {}, "Ties"), el("ul", {}, ties.map(([name, to, change]) =>
      el("li", {}, nameOf(name), ` ${change} `, nameOf(to))))) : null,
    notes.map((note) => el("p", { class: "note" }, note)),
  ];
}

// What moved furthest comes first, then what has no number.
function weight([, , moved]) {
  return moved === null ? -1 : moved === "Infinity" ? Infinity : moved === "NaN" ? Infinity : moved;
}

function changesTable(rows) {
  if (!rows.length) return el("p", {}, "Every tensor is the same, bit for bit.");
  const body = el("tbody", {});
  let made = 0;
  const button = el("button", { type: "button", class: "quiet", onclick: () => more() });
  const more = () => {
    const next = rows.slice(made, made + SHOWN).map(([node, became, moved, relative, cosine, largest, share, words]) =>
      el("tr", {},
        el("th", { scope: "row" }, link(node)), el("td", {}, becameMark(became)),
        el("td", {}, relative, typeof moved === "number" ? bar(Math.min(1, moved)) : null), el("td", {}, cosine), el("td", {}, largest), el("td", {}, share), el("td", { class: "words" }, words)));
    body.append(...next);
    made += next.length;
    button.hidden = made >= rows.length;
    button.textContent = `${plural(rows.length - made, "tensor")} more`;
  };
  more();
  const heads = ["tensor", "", "relative change", "cosine", "largest change", "values changed", ""];
  return el("section", {}, el("h2", {}, "Tensors"),
    el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Tensors that changed" },
      el("table", { class: "numbers changes" },
        el("thead", {}, el("tr", {}, heads.map((head) => (head ? el("th", { scope: "col" }, head) : el("td", {}))))), body)),
    button);
}

function bar(share) {
  const made = el("span", { class: "share", "aria-hidden": "true" }, el("span", {}));
  made.firstChild.style.width = `${Math.max(share > 0 ? 2 : 0, 100 * share)}%`;
  return made;
}

function changeBlock(change) {
  if (!change || !index.changes) return null;
  const [before, after] = change.sides;
  const side = (one, title) => (one ? el("div", {}, el("dt", {}, title), el("dd", {}, nameOf(one[0]), `, ${one[1]}, ${shapeText(one[2])}`)) : null);
  const differs = before && after && JSON.stringify(before) !== JSON.stringify(after);
  return el("section", { class: `change ${change.kind}` },
    el("div", { class: "heading" }, el("h2", {}, "What changed"), becameMark(change.kind), change.status === "inferred" && before && after ? known("inferred") : null),
    change.words ? el("p", {}, change.words, ".") : null,
    change.problem ? el("p", { class: "note" }, change.problem) : null,
    differs ? el("dl", { class: "facts" }, side(before, "before"), side(after, "after")) : null,
    change.kind === "unchanged" ? null : el("dl", { class: "facts" }, change.numbers.map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
}
