// The theme: the system's, until the reader chooses the other one; kept by the browser.
(() => {
  "use strict";
  const root = document.documentElement;
  const KEY = "almanac-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  const kept = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const keep = (theme) => {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // the choice then holds for this page
    }
  };
  const use = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  use(kept());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => button.setAttribute("aria-pressed", String(isDark()));
    button.addEventListener("click", () => {
      use(isDark() ? "light" : "dark");
      keep(root.dataset.theme);
      tell();
    });
    system.addEventListener("change", tell);
    tell();
    button.hidden = false;
  });
})();
