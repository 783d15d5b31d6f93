// Single keys for people who do not want to reach for the mouse; "?" shows them. They can be turned off there, and never act
// while somebody types or a dialog is open. Rows are elements with data-row; the focus goes to what opens them.
(() => {
  const sheet = document.getElementById("shortcuts");
  const toggle = document.getElementById("shortcuts-on");
  const STORED = "shortcuts";
  const isOn = () => localStorage.getItem(STORED) !== "off";

  const rows = () => [...document.querySelectorAll("[data-row]")].filter((row) => row.checkVisibility());
  const handle = (row) => row.querySelector("[data-row-link], summary");
  const current = () => document.activeElement?.closest("[data-row]") ?? document.querySelector("[data-row].is-current");

  function go(step) {
    const all = rows();
    if (!all.length) return;
    const here = all.indexOf(current());
    const next = all[here === -1 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(here + step, 0), all.length - 1)];
    for (const row of all) row.classList.toggle("is-current", row === next);
    handle(next)?.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function tick() {
    const box = current()?.querySelector("[data-tick]");
    if (!box) return;
    box.checked = !box.checked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }

  const follow = (selector) => document.querySelector(selector)?.click();
  const KEYS = {
    j: () => go(1),
    k: () => go(-1),
    x: tick,
    f: () => document.querySelector("[role=search] input[type=search]")?.focus(),
    r: () => document.dispatchEvent(new Event("perdure:ask")),
    "[": () => follow(".pager [rel=prev]"),
    "]": () => follow(".pager [rel=next]"),
  };

  const typing = (element) => element.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    // The sheet opens even when they are off: it is where they are turned on again.
    if (event.key === "?") sheet.showModal();
    else if (isOn() && KEYS[event.key]) KEYS[event.key]();
    else return;
    event.preventDefault();
  });

  for (const button of document.querySelectorAll("[data-shortcuts]")) button.hidden = false;
  toggle.checked = isOn();
  toggle.addEventListener("change", () => localStorage.setItem(STORED, toggle.checked ? "on" : "off"));
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-shortcuts]")) sheet.showModal();
    if (event.target.closest("[data-shortcuts-close]")) sheet.close();
  });
})();
