// The overview: shows one model and one task. The address says which: #model/task
"use strict";
document.addEventListener("DOMContentLoaded", function () {
  const model = document.getElementById("model"), task = document.getElementById("task");
  if (!model) return;
  const nothing = document.getElementById("nothing"), said = document.getElementById("chosen");

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

  model.addEventListener("change", chosen);
  task.addEventListener("change", chosen);
  addEventListener("hashchange", fromAddress);
  fromAddress();
});
