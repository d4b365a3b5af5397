"use strict";
// Check boxes hide the lines of seeds, in all figures; a seed that is pointed at stands out.
(() => {
  const boxes = [...document.querySelectorAll("input[data-seed]")];
  const all = document.getElementById("all-seeds");
  if (!all) return;

  const mark = (box, name, isOn) => {
    for (const line of document.getElementsByClassName(box.dataset.seed)) line.classList.toggle(name, isOn);
  };
  const update = () => {
    for (const box of boxes) mark(box, "hidden", !box.checked);
    const nShown = boxes.filter((box) => box.checked).length;
    all.checked = nShown === boxes.length;
    all.indeterminate = nShown > 0 && nShown < boxes.length;
  };

  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    update();
  });
  for (const box of boxes) {
    const label = box.closest("label");
    box.addEventListener("change", update);
    for (const event of ["pointerenter", "focusin"]) label.addEventListener(event, () => mark(box, "pointed", true));
    for (const event of ["pointerleave", "focusout"]) label.addEventListener(event, () => mark(box, "pointed", false));
  }
  update();
})();
