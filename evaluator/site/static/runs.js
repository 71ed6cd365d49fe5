// The runs: filters rows and columns. The address keeps model and task: #model/task
"use strict";
document.addEventListener("DOMContentLoaded", function () {
  const fields = ["model", "task", "framework", "cases", "find"].map((id) => document.getElementById(id));
  const [model, task, framework, cases, find] = fields;
  if (!model) return;
  const shown = document.getElementById("shown");
  const grids = [...document.querySelectorAll(".grid")];

  function fits(row) {
    const marks = [...row.querySelectorAll("td:not([hidden]) .mark")];
    const failed = marks.filter((mark) => mark.classList.contains("failed")).length;
    const words = row.cells[0].textContent.toLowerCase();
    if (!marks.length || !words.includes(find.value.trim().toLowerCase())) return 0;
    if (cases.value === "failed" && !failed) return 0;
    if (cases.value === "passed" && failed) return 0;
    if (cases.value === "differ" && (!failed || failed === marks.length)) return 0;
    return marks.length;
  }

  function show() {
    let runs = 0, rowsShown = 0;
    for (const grid of grids) {
      const fitting = (!model.value || grid.dataset.model === model.value) && (!task.value || grid.dataset.task === task.value);
      let rows = 0;
      if (fitting) {
        for (const cell of grid.querySelectorAll("[data-framework]")) {
          cell.hidden = Boolean(framework.value) && cell.dataset.framework !== framework.value;
        }
        for (const row of grid.querySelectorAll("tbody tr")) {
          const marks = fits(row);
          row.hidden = !marks;
          if (marks) { rows += 1; runs += marks; }
        }
      }
      grid.hidden = !rows;
      rowsShown += rows;
    }
    shown.textContent = runs ? `${runs} runs of ${rowsShown} cases` : "No run fits. Choose less.";
  }

  function fromAddress() {
    const [wanted, of = ""] = location.hash.slice(1).split("/").map(decodeURIComponent);
    if ([...model.options].some((option) => option.value === wanted)) model.value = wanted;
    if ([...task.options].some((option) => option.value === of)) task.value = of;
    show();
  }

  for (const field of fields) field.addEventListener("input", show);
  addEventListener("hashchange", fromAddress);
  fromAddress();
});
