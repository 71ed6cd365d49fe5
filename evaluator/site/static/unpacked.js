// Data of a page: a page from a file cannot fetch another file, so they stand in it, or in a script beside it: JSON,
// compressed, as base64.
"use strict";
function canUnpack(what) {
  if ("DecompressionStream" in window) return true;
  const complaint = document.getElementById("complaint");
  complaint.textContent = `This browser is too old to show ${what}: it has no DecompressionStream (Chromium 80, Firefox 113, Safari 16.4).`;
  complaint.hidden = false;
  return false;
}
async function unpacked(source) {
  const bytes = Uint8Array.from(atob(source), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}
