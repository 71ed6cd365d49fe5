// Runs before the page is drawn: says that there is JavaScript, and sets the theme that was chosen last.
"use strict";
document.documentElement.classList.add("js");
(function () {
  let chosen = null;
  try { chosen = localStorage.getItem("bakeoff-theme"); } catch { /* no storage: the system's theme it is */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", function () {
    const button = document.getElementById("theme");
    const system = matchMedia("(prefers-color-scheme: dark)");
    const current = () => document.documentElement.dataset.theme || (system.matches ? "dark" : "light");
    const label = () => { button.textContent = current() === "dark" ? "Light" : "Dark"; };
    button.addEventListener("click", function () {
      const next = current() === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("bakeoff-theme", next); } catch { /* not kept */ }
      label();
    });
    system.addEventListener("change", label);
    label();
    button.hidden = false;
  });
})();
