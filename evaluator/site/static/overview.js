// The overview: shows one model and one task, and sorts the matrix. The address says which: #model/task
"use strict";
document.addEventListener("DOMContentLoaded", function () {
  const model = document.getElementById("model"), task = document.getElementById("task");
  if (!model) return;
  const nothing = document.getElementById("nothing"), said = document.getElementById("chosen");
  const table = document.getElementById("matrix");
  let sorting = null;

  function fromAddress() {
    const [wanted, of = ""] = location.hash.slice(1).split("/").map(decodeURIComponent);
    if ([...model.options].some((option) => option.value === wanted)) model.value = wanted;
    task.value = [...task.options].some((option) => option.value === of) ? of : "";
    show();
  }

  function show() {
    let found = 0;
    for (const part of document.querySelectorAll(".chosen")) {
      part.hidden = part.dataset.model !== model.value || part.dataset.task !== task.value;
      if (!part.hidden) found += 1;
    }
    nothing.hidden = found > 0;
    said.textContent = `Model ${model.value}, ${task.value || "all tasks"}`;
  }

  function chosen() {
    location.hash = `${encodeURIComponent(model.value)}${task.value ? "/" + encodeURIComponent(task.value) : ""}`;
  }

  function sort(header) {
    const index = [...header.parentElement.children].indexOf(header);
    const first = header.dataset.first || "ascending", second = first === "ascending" ? "descending" : "ascending";
    const direction = sorting && sorting.index === index && sorting.direction === first ? second : first;
    sorting = { index, direction };
    for (const other of header.parentElement.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
    const number = header.dataset.sort !== "name", sign = direction === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const references = [...body.querySelectorAll(".reference")]; // no frameworks: they stay below
      const rows = [...body.rows].filter((row) => !row.classList.contains("no-js-only") && !references.includes(row));
      const value = (row) => row.cells[index].dataset.value;
      rows.sort(function (a, b) {
        const one = value(a), other = value(b);
        if (one === "" || other === "") return (one === "") - (other === ""); // what is not known comes last
        return sign * (number ? one - other : one.localeCompare(other));
      });
      body.append(...rows, ...references);
    }
  }

  model.addEventListener("change", chosen);
  task.addEventListener("change", chosen);
  addEventListener("hashchange", fromAddress);
  for (const header of table.tHead.rows[0].cells) {
    header.querySelector("button").addEventListener("click", () => sort(header));
  }
  fromAddress();
});
