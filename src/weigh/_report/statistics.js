// The statistics of a tensor, in groups; before and after where there are two.

function statisticsBlock(item, names) {
  const columns = [item.statistics, item.after].filter(Boolean);
  let at = 0;
  const groups = index.statistics.map(([title, labels]) => {
    const rows = labels.map((label, place) => [label, ...columns.map((column) => column[at + place] ?? "none")]);
    at += labels.length;
    return el("div", { class: "group" },
      el("h3", {}, title),
      columns.length > 1
        ? table(["", ...names], rows, { class: "numbers", caption: `${title}, before and after` })
        : el("dl", { class: "numbers" }, rows.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))));
  });
  const stored = item.stored
    ? el("p", { class: "note" }, `Of what is stored: smallest ${item.stored[0] ?? "none"}, largest ${item.stored[index.statistics[0][1].length - 1] ?? "none"}.`)
    : null;
  return el("section", {}, el("h2", {}, "Statistics"), el("div", { class: "groups" }, groups), stored);
}
