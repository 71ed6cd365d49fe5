// Side by side: sets two implementations of a task beside one another. The address is the state: #left,right/task
"use strict";
document.addEventListener("DOMContentLoaded", async function () {
  const choice = document.getElementById("choice");
  if (!choice || !canUnpack("two at once")) return;
  const task = document.getElementById("task"), left = document.getElementById("left"), right = document.getElementById("right");
  const place = document.getElementById("pair"), complaint = document.getElementById("complaint");
  const said = document.getElementById("said"), keys = document.getElementById("keys"), keysOn = document.getElementById("keys-on");
  const pairs = await unpacked(document.getElementById("pairs").textContent);
  const narrow = matchMedia("(max-width: 760px)");
  const names = [...left.options].map((option) => option.value);
  const tasks = [...task.options].map((option) => option.value);
  const title = (name) => [...left.options].find((option) => option.value === name).textContent;
  let shown = { left: names[0], right: names[1] || names[0], task: tasks[0] };

  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // --- the state ------------------------------------------------------------------------------

  const address = (state) => `#${state.left},${state.right}/${state.task}`;

  function fromAddress() {
    let hash = location.hash.slice(1);
    try { hash = decodeURIComponent(hash); } catch { /* shown as it is */ }
    const [pair, wanted] = hash.split("/"), [one, other] = pair.split(",");
    const unknown = [one, other].filter((name) => name && !names.includes(name));
    complaint.hidden = true;
    if (unknown.length || (wanted && !tasks.includes(wanted))) {
      complaint.textContent = unknown.length
        ? `There is no framework “${unknown[0]}”; there are ${names.join(", ")}.`
        : `There is no task “${wanted}”; there are ${tasks.join(", ")}.`;
      complaint.hidden = false;
    }
    const next = {
      left: names.includes(one) ? one : shown.left,
      right: names.includes(other) ? other : shown.right,
      task: tasks.includes(wanted) ? wanted : shown.task,
    };
    if (next.left === next.right) next.right = names.find((name) => name !== next.left) || next.right;
    shown = next;
    show();
  }

  function go(change) {
    const next = { ...shown, ...change };
    if (next.left === next.right) { // whoever is chosen on the other side changes places
      if (change.left) next.right = shown.left; else next.left = shown.right;
    }
    location.hash = address(next); // the browser keeps what was shown before, for its back button
  }

  const around = (list, value, by) => list[(list.indexOf(value) + by + list.length) % list.length];

  // One step on, past the framework that is on the other side.
  function step(side, by) {
    const other = side === "left" ? shown.right : shown.left;
    let name = around(names, shown[side], by);
    if (name === other) name = around(names, name, by);
    go({ [side]: name });
  }

  // --- the page -------------------------------------------------------------------------------

  function rowsOf(state) {
    const found = pairs[`${state.left},${state.right}/${state.task}`];
    if (found) return found;
    const turned = pairs[`${state.right},${state.left}/${state.task}`];
    return turned && turned.map(([name, rows]) => [name, rows.map(([a, b, same]) => [b, a, same])]);
  }

  function code(lines, number, same) {
    const line = number ? lines[number - 1] : null;
    const cell = make("td", { className: "code" });
    if (line) {
      cell.append(...line.cloneNode(true).childNodes);
      const indent = line.textContent.length - line.textContent.trimStart().length;
      cell.classList.add(`indent-${Math.min(Math.floor(indent / 4), 8)}`);
      if (same) cell.classList.add("same");
    } else {
      cell.classList.add("none");
    }
    return [make("td", { className: "line-number", textContent: number || "" }), cell];
  }

  const length = (rows, side) => rows.filter((row) => row[side]).length;
  const lines = (count) => `${count} line${count === 1 ? "" : "s"}`;

  function body(section, sides) {
    const [name, rows] = section;
    const counts = sides.map((side, i) => length(rows, i));
    const heading = make("th", { colSpan: narrow.matches ? 2 : 4, scope: "rowgroup", tabIndex: -1 }, name, " ",
      make("small", { textContent: counts[0] === counts[1] ? lines(counts[0]) : `${counts[0]} and ${lines(counts[1])}` }));
    const part = make("tbody", { className: "part" }, make("tr", { className: "heading" }, heading));
    if (!narrow.matches) {
      for (const [a, b, same] of rows) part.append(make("tr", {}, ...code(sides[0].lines, a, same), ...code(sides[1].lines, b, same)));
      return part;
    }
    sides.forEach(function (side, i) {
      part.append(make("tr", { className: "whose" }, make("th", { colSpan: 2, scope: "rowgroup", textContent: side.title })));
      for (const row of rows) if (row[i]) part.append(make("tr", {}, ...code(side.lines, row[i], row[2])));
      if (!length(rows, i)) part.append(make("tr", {}, make("td", { colSpan: 2, className: "none", textContent: "none" })));
    });
    return part;
  }

  function show() {
    task.value = shown.task; left.value = shown.left; right.value = shown.right;
    document.title = `${title(shown.left)} and ${title(shown.right)}, ${shown.task} · bakeoff`;
    said.textContent = `${title(shown.left)} beside ${title(shown.right)}, ${shown.task}`;
    const rows = rowsOf(shown);
    const articles = [shown.left, shown.right].map((name) => document.getElementById(`${name}/${shown.task}`));
    if (!rows || articles.includes(null)) {
      place.replaceChildren(make("p", { className: "empty", textContent: "One of the two has no implementation of this task that can be shown." }));
      return;
    }
    const sides = articles.map((article) => ({
      title: article.dataset.title,
      head: article.querySelector("header").cloneNode(true),
      lines: [...article.querySelectorAll(".line")],
    }));
    const table = make("table", { className: "pair" });
    table.append(make("caption", { className: "visually-hidden", textContent: said.textContent }));
    for (const _ of narrow.matches ? [0] : sides) {
      table.append(make("col", { className: "line-numbers" }), make("col", {}));
    }
    if (!narrow.matches) {
      table.append(make("thead", {}, make("tr", {}, ...sides.map((side) => make("th", { colSpan: 2, scope: "colgroup", textContent: side.title })))));
    }
    table.append(...rows.map((section) => body(section, sides)));
    place.replaceChildren(make("div", { className: "heads" }, ...sides.map((side) => side.head)), table);
  }

  // --- what the reader does -------------------------------------------------------------------

  function toPart(by) {
    const headings = [...place.querySelectorAll(".part .heading th")];
    const now = headings.indexOf(document.activeElement);
    const next = headings[Math.max(0, Math.min(headings.length - 1, now + by))];
    if (next) next.focus();
  }

  const swap = () => go({ left: shown.right, right: shown.left });
  const actions = {
    a: () => step("left", 1), A: () => step("left", -1),
    b: () => step("right", 1), B: () => step("right", -1),
    t: () => go({ task: around(tasks, shown.task, 1) }), T: () => go({ task: around(tasks, shown.task, -1) }),
    s: swap, S: swap,
    j: () => toPart(1), k: () => toPart(-1),
    "?": () => { keys.open = !keys.open; if (keys.open) keys.querySelector("summary").focus(); },
  };

  document.addEventListener("keydown", function (event) {
    const busy = event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input[type=search]");
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    if (!action || busy || !keysOn.checked) return;
    event.preventDefault();
    action();
  });

  left.addEventListener("change", () => go({ left: left.value }));
  right.addEventListener("change", () => go({ right: right.value }));
  task.addEventListener("change", () => go({ task: task.value }));
  document.getElementById("swap").addEventListener("click", swap);
  addEventListener("hashchange", fromAddress);
  narrow.addEventListener("change", show);
  fromAddress();
  if (location.hash !== address(shown) && complaint.hidden) location.replace(address(shown));
});
