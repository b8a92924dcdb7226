// Lists of jobs: what is ticked stays ticked when the list is brought up to date, and one box ticks all that is shown.
"use strict";

(() => {
  const ticked = new Set();
  const boxes = () => [...document.querySelectorAll('.jobs input[name="id"]')];
  const all = () => document.querySelector("[data-check-all]");

  function show() {
    const shown = boxes();
    for (const box of shown) box.checked = ticked.has(box.value);
    const main = all();
    if (!main) return;
    const count = shown.filter((box) => box.checked).length;
    main.checked = count > 0 && count === shown.length;
    main.indeterminate = count > 0 && count < shown.length;
  }

  document.body.addEventListener("change", (event) => {
    const box = event.target;
    if (box.matches("[data-check-all]")) {
      for (const one of boxes()) ticked[box.checked ? "add" : "delete"](one.value);
    } else if (box.matches('.jobs input[name="id"]')) {
      ticked[box.checked ? "add" : "delete"](box.value);
    } else return;
    show();
  });

  document.body.addEventListener("hubqueue:message", () => ticked.clear()); // what was asked for is done
  document.body.addEventListener("htmx:afterSwap", show);
})();
