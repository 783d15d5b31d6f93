// Moves the line of the current time and lets live bars grow; when they reach the end of the axis, asks for a longer one.
(() => {
  let svg = null;
  let drawnAt = 0;

  function tick() {
    const current = document.querySelector("svg[data-now]");
    if (!current || document.hidden) return;
    if (current !== svg) {
      svg = current;
      drawnAt = performance.now();
    }
    const passed = (performance.now() - drawnAt) / 1000;
    const x = Number(svg.dataset.now) + (passed / Number(svg.dataset.span)) * 100;
    if (x >= 100) {
      const poll = document.querySelector("[data-poll]");
      if (poll) {
        // Without a version the server draws anew even though nothing was recorded.
        poll.dataset.version = "";
        document.dispatchEvent(new Event("perdure:ask"));
      }
      return;
    }
    for (const line of svg.querySelectorAll(".now")) {
      line.setAttribute("x1", `${x}%`);
      line.setAttribute("x2", `${x}%`);
    }
    for (const bar of svg.querySelectorAll("rect[data-grows]")) {
      bar.setAttribute("width", `${Math.max(x - parseFloat(bar.getAttribute("x")), 0)}%`);
    }
  }

  setInterval(tick, 500);
})();
