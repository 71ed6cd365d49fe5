// Tables that can be sorted by a column: the first click sorts as its header says, the second the other way.
"use strict";
function sortable(table) {
  let sorting = null;

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

  for (const header of table.tHead.rows[0].cells) {
    header.querySelector("button").addEventListener("click", () => sort(header));
  }
}
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("table.sortable").forEach(sortable));
