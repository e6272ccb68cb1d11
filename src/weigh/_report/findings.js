// What `weigh check` found, the worst first.

const SHOWN = 100;

function severityMark(severity) {
  return el("span", { class: `severity ${severity}` }, el("span", { "aria-hidden": "true" }, SIGNS[severity]), ` ${severity}`);
}

function findingCard(finding, linked = true) {
  const of = index.sources.length > 1 ? el("span", { class: "known" }, finding.of.map((at) => ["before", "after"][at]).join(" and ")) : null;
  const where = finding.where || "the whole network";
  return el("article", { class: `finding ${finding.severity}` },
    el("p", { class: "finding-head" }, severityMark(finding.severity), el("span", { class: "rule" }, finding.rule), of),
    el("p", { class: linked ? "finding-what" : "finding-what begins" },
      linked ? [finding.node >= 0 ? link(finding.node) : nameOf(where), ": "] : null, finding.message, "."),
    finding.why ? el("p", { class: "note" }, finding.why) : null,
    finding.do ? el("p", { class: "note" }, finding.do) : null,
    finding.evidence.length ? el("details", {}, el("summary", {}, "Evidence"),
      el("dl", { class: "facts" }, finding.evidence.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))))) : null);
}

function findingsOf(node) {
  const rows = index.findings.rows.filter((row) => row.node === node);
  return rows.length ? el("section", { class: "findings-here" }, el("h2", { class: "unseen" }, "Findings"),
    rows.map((row) => findingCard(row, false))) : null;
}

// A long list, a part at a time.
function listed(rows, make, noun) {
  const place = el("div", {});
  let made = 0;
  const button = el("button", { type: "button", class: "quiet", onclick: () => more() });
  const more = () => {
    const next = rows.slice(made, made + SHOWN).map(make);
    place.append(...next);
    if (made) next[0]?.querySelector("a, summary")?.focus();
    made += next.length;
    button.hidden = made >= rows.length;
    button.textContent = `${plural(rows.length - made, noun)} more`;
  };
  more();
  return [place, button];
}

function findingsView() {
  const { rows, counts, unsure, looked_at: looked, left_out: left } = index.findings;
  return [
    el("h1", { tabindex: "-1" }, "Findings"),
    el("p", { class: "lead" }, rows.length
      ? counts.filter(([, count]) => count).map(([severity, count]) => [severityMark(severity), ` ${number(count)} `])
      : "Nothing was found."),
    looked.map((text) => el("p", { class: "note" }, text)),
    listed(rows, (row) => findingCard(row), "finding"),
    left ? el("p", { class: "note" }, `${number(left)} more are not on this page; weigh check lists them.`) : null,
    unsure.length ? el("section", {}, el("h2", {}, "Cannot tell"),
      listed(unsure, ([rule, where, message]) => el("p", { class: "unsure" }, el("span", { class: "rule" }, rule), " ", where ? [nameOf(where), ": "] : null, message, "."), "place")) : null,
  ];
}
