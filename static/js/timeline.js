// Moves the line of the current time and lets live bars grow; when they reach the end of the axis, asks for a longer one.
(() => {
  let timeline = null;
  let drawnAt = 0;

  function tick() {
    const current = document.querySelector(".timeline[data-now]");
    if (!current || document.hidden) return;
    if (current !== timeline) {
      timeline = current;
      drawnAt = performance.now();
    }
    const passed = (performance.now() - drawnAt) / 1000;
    const x = Number(timeline.dataset.now) + passed * Number(timeline.dataset.rate);
    if (x >= 100) {
      const poll = document.querySelector("[data-poll]");
      if (poll) {
        // Without a version the server draws anew even though nothing was recorded.
        poll.dataset.version = "";
        document.dispatchEvent(new Event("perdure:ask"));
      }
      return;
    }
    for (const line of timeline.querySelectorAll(".now")) {
      line.setAttribute("x1", `${x}%`);
      line.setAttribute("x2", `${x}%`);
    }
    for (const bar of timeline.querySelectorAll("rect[data-grows]")) {
      bar.setAttribute("width", `${Math.max(x - parseFloat(bar.parentElement.getAttribute("x")), 0)}%`);
    }
  }

  setInterval(tick, 500);
})();

// Fetches another window of a long timeline without the page around it. Without this script its links load the page.
(() => {
  const LINKS = ".minimap a, #timeline-window .pager a, #timeline-window .timeline-left-out";
  let shown = location.search;

  async function show(url) {
    let answer = null;
    try {
      answer = await fetch(`window/${url.search}`, { headers: { "HX-Request": "true" }, redirect: "manual" });
    } catch {
      // The page itself says what is wrong.
    }
    if (!answer?.ok) {
      location.assign(url);
      return;
    }
    htmx.swap(document.body, await answer.text(), { swapStyle: "none" });
    const part = document.getElementById("timeline-window");
    const mark = document.querySelector(".minimap-view");
    mark?.setAttribute("x", part.dataset.viewX);
    mark?.setAttribute("width", part.dataset.viewWidth);
    const range = part.querySelector(".pager-range")?.textContent;
    document.getElementById("announcement").textContent = range ? `Operations ${range}` : "Beginning and end";
    history.pushState(null, "", url);
    shown = url.search;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(LINKS);
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.getAttribute("href"), location.href);
    // On the overview they lead to the page of the timeline.
    if (url.pathname !== location.pathname) return;
    event.preventDefault();
    show(url);
  });

  addEventListener("popstate", () => {
    // Not a jump within the page.
    if (location.search !== shown) location.reload();
  });
})();
