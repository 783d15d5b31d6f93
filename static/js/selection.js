// Ticking rows: all of a page at once, ranges with Shift, a sentence that says how many; what needs ticked rows waits for some.
(() => {
  let last = null;
  const ticks = () => [...document.querySelectorAll("[data-tick]")];

  function refresh() {
    const all = ticks();
    const count = all.filter((tick) => tick.checked).length;
    const master = document.querySelector("[data-tick-all]");
    if (master) {
      master.hidden = false;
      master.checked = count > 0 && count === all.length;
      master.indeterminate = count > 0 && count < all.length;
    }
    const sentence = document.querySelector("[data-tick-count]");
    if (sentence) sentence.textContent = count ? `${count} ticked on this page` : "Tick executions to act on several at once.";
    for (const button of document.querySelectorAll("[data-needs-ticks]")) {
      const wanted = Number(button.dataset.needsTicks);
      button.disabled = wanted ? count !== wanted : count === 0;
    }
  }

  document.addEventListener("click", (event) => {
    const tick = event.target.closest("[data-tick]");
    if (!tick) return;
    const all = ticks();
    if (event.shiftKey && last && all.includes(last)) {
      const [from, to] = [all.indexOf(last), all.indexOf(tick)].sort((a, b) => a - b);
      for (const each of all.slice(from, to + 1)) each.checked = tick.checked;
    }
    last = tick;
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-tick-all]")) for (const tick of ticks()) tick.checked = event.target.checked;
    if (event.target.matches("[data-tick-all], [data-tick]")) refresh();
  });
  document.addEventListener("htmx:oobAfterSwap", refresh);
  document.addEventListener("perdure:ticked", refresh);
  window.addEventListener("pageshow", refresh);
  refresh();
})();
