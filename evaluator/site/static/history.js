// A year of releases: figures of the chosen task, which the address keeps (#costs/task), and titles on the charts.
"use strict";
document.addEventListener("DOMContentLoaded", function () {
  const task = document.getElementById("task"), names = document.getElementById("names");
  const REACH = 4.8; // on both sides of a release: half of what is between two months

  function titles(svg, releases) {
    const written = svg.dataset.written.split(";");
    releases.forEach(function ([x, name], index) {
      const rect = document.createElementNS(svg.namespaceURI, "rect"), title = document.createElementNS(svg.namespaceURI, "title");
      rect.setAttribute("x", x - REACH);
      rect.setAttribute("width", 2 * REACH);
      title.textContent = `${name}: ${written[index] || "no figure"}`;
      rect.append(title);
      svg.append(rect);
    });
  }

  if (names) {
    const releases = JSON.parse(names.textContent);
    for (const list of document.querySelectorAll(".measure ul")) {
      list.querySelectorAll("svg").forEach((svg, framework) => titles(svg, releases[framework]));
    }
  }
  if (!task) return;

  function show() {
    for (const part of document.querySelectorAll(".measure[data-task]")) part.hidden = part.dataset.task !== task.value;
  }

  function fromAddress() {
    const [place, wanted] = location.hash.slice(1).split("/").map(decodeURIComponent);
    if (place && place !== "costs") return; // it leads to a reason
    task.value = [...task.options].some((option) => option.value === wanted) ? wanted : task.options[0].value;
    show();
  }

  task.addEventListener("change", function () {
    location.hash = task.selectedIndex ? `costs/${encodeURIComponent(task.value)}` : "costs/all";
  });
  addEventListener("hashchange", fromAddress);
  fromAddress();
  if (location.hash.startsWith("#costs/")) document.getElementById("costs").scrollIntoView();
});
