// Asks the server for changes: <div data-poll data-url=… data-version=… data-seconds="2">.
// The answer is 204 when nothing has changed, else regions that replace their namesakes (hx-swap-oob), this one among
// them; a region without data-poll ends it. Asks less often while nothing changes, with jitter so that many open pages do
// not ask at once, and not at all while the tab is hidden, rows are ticked, a dialog or menu is open or somebody types.
(() => {
  const SLOWEST = 10;
  const BACK_OFF = 1.25;
  let timer = 0;
  let pause = 0;
  let isAsking = false;

  const poller = () => document.querySelector("[data-poll]");
  const typing = () => document.activeElement?.matches("input:not([type=checkbox]), textarea, select") ?? false;
  const ticked = () => document.querySelector("[data-tick]:checked") !== null;
  const held = () =>
    document.hidden || typing() || ticked() || document.querySelector("dialog[open], details.menu[open]") !== null;

  function state(kind, text) {
    for (const element of document.querySelectorAll("[data-live]")) {
      if (element.dataset.state === kind && element.textContent === text) continue;
      element.dataset.state = kind;
      element.textContent = text;
    }
  }

  function later(seconds) {
    clearTimeout(timer);
    timer = setTimeout(ask, seconds * 1000 * (0.85 + Math.random() * 0.3));
  }

  async function ask() {
    if (isAsking || !poller()) return;
    isAsking = true;
    try {
      await askOnce(poller());
    } finally {
      isAsking = false;
    }
  }

  async function askOnce(element) {
    if (held()) {
      state("off", typing() ? "Paused while you type" : ticked() ? "Paused while rows are ticked" : "Paused");
      later(1);
      return;
    }
    const base = Number(element.dataset.seconds) || 2;
    const url = new URL(element.dataset.url, location.href);
    url.searchParams.set("v", element.dataset.version);
    let answer;
    try {
      answer = await fetch(url, { headers: { "HX-Request": "true" }, credentials: "same-origin", redirect: "manual" });
    } catch {
      answer = null;
    }
    if (answer?.type === "opaqueredirect" || answer?.status === 401 || answer?.status === 403) {
      // Logged out, or the right was taken away: the whole page knows what to show then.
      location.reload();
      return;
    }
    if (!answer || answer.status >= 400) {
      pause = Math.min(Math.max(pause, base) * 2, 60);
      const asked = Number(answer?.headers.get("Retry-After"));
      const wait = asked > 0 ? asked : pause;
      state("lost", `Disconnected, trying again in ${Math.round(wait)} s`);
      later(wait);
      return;
    }
    if (answer.status === 204) {
      pause = Math.min(Math.max(pause, base) * BACK_OFF, SLOWEST);
    } else {
      pause = base;
      // What was opened or typed meanwhile stays: see keep.js.
      const text = await answer.text();
      if (held()) {
        later(1);
        return;
      }
      htmx.swap(document.body, text, { swapStyle: "none" });
    }
    if (poller()) {
      state("on", "Live");
      later(pause);
    } else {
      state("off", "Finished, no longer updating");
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && poller()) {
      pause = 0;
      later(0.1);
    }
  });
  document.addEventListener("perdure:ask", () => {
    pause = 0;
    later(0);
  });
  if (poller()) {
    state("on", "Live");
    later(Number(poller().dataset.seconds) || 2);
  }
})();
