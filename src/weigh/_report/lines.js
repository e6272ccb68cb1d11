// Lines to copy: Python, and a shell's. A hostile name must not become a command in either.

function python(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const letters = Array.from(text, (letter) =>
    letter === "\\" || letter === quote ? `\\${letter}` : shown(letter));
  return `${quote}${letters.join("")}${quote}`;
}

// POSIX quoting. What a terminal would obey, or would not show, is given to printf in octal.
function shell(text) {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  if (shown(text) === text) return `'${text.replaceAll("'", "'\\''")}'`;
  const ends = /\n*$/.exec(text)[0]; // a shell drops the last line ends of what a command prints
  const bytes = new TextEncoder().encode(text.slice(0, text.length - ends.length));
  const octal = Array.from(bytes, (byte) =>
    /[\w .,:;=+@/[\]()-]/.test(String.fromCharCode(byte)) && byte < 128
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, "0")}`);
  return `"$(printf '${octal.join("")}')"${ends ? `'${ends}'` : ""}`;
}

function linesFor(node) {
  const source = sourceOf(node);
  const tensor = isTensor(node);
  const shape = tensor ? form(node).shape : null;
  const first = shape && shape.length && shape[0] ? "[0]" : "";
  const opened = `net = weigh.open(${source ? python(source) : "model"})`;
  const lines = [["Python", `import weigh\n${opened}\n${node ? `net[${python(names[node])}]${first}` : "print(net)"}`]];
  if (!source) return lines;
  const said = (command, name) => {
    const dashes = source.startsWith("-") || name.startsWith("-") ? "-- " : "";
    return `weigh ${command} ${dashes}${shell(source)}${name ? ` ${shell(name)}` : ""}`;
  };
  if (!names[node]) lines.push(["Shell", said("show", "")]);
  else lines.push(["Shell", tensor ? said("values", names[node] + first) : said("explain", names[node])]);
  return lines;
}

function linesBlock(node) {
  if (node && !names[node]) return null;
  return el("section", {},
    el("h2", {}, "In your own hands"),
    linesFor(node).map(([title, text]) => {
      const code = el("code", {});
      code.textContent = text;
      return el("div", { class: "line" },
        el("span", { class: "line-title" }, title),
        el("pre", { tabindex: "0", role: "group", "aria-label": `${title} line` }, code),
        el("button", { type: "button", class: "quiet", "aria-label": `Copy the ${title} line`,
          onclick: () => copy(text, code) }, "Copy"));
    }));
}

async function copy(text, code) {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
    mark(code, "Copied");
    return;
  } catch {
    // There may be no clipboard to ask, as in a page that was opened from a disk.
  }
  getSelection().selectAllChildren(code);
  let done = false;
  try {
    done = document.execCommand("copy");
  } catch {
    // It stays selected.
  }
  say(done ? "Copied." : "Selected: copy it with Ctrl+C.");
  mark(code, done ? "Copied" : "Selected");
}

function mark(code, text) {
  const button = code.closest(".line").querySelector("button");
  button.textContent = text;
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}
