// A copy cannot know how old it is when somebody opens it: the reader's clock says it.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const main = document.querySelector("main[data-as-of]");
  const hours = (Date.now() - Date.parse(main.dataset.asOf)) / 3600000;
  if (hours <= Number(main.dataset.staleHours)) return;
  document.querySelector(".banner").hidden = false;
  const today = document.getElementById("today");
  today.textContent = today.dataset.stale;
});
