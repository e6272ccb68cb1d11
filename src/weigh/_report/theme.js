"use strict";
// Before anything is drawn: the theme that was chosen here before.
(() => {
  try {
    const kept = localStorage.getItem("weigh-theme");
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch {
    // Nothing is kept where storage is refused.
  }
})();
