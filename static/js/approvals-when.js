// Keeps "in 57 minutes" true while a page stays open, in the page's language, and shows absolute times in the reader's
// own time zone. <time data-when datetime=…>: relative; <time data-local datetime=…>: absolute.
(() => {
  const language = document.documentElement.lang || "en";
  const relative = new Intl.RelativeTimeFormat(language);
  const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const started = Date.now();
  const SKEW = (() => {
    const now = document.querySelector("[data-server-now]");
    return now ? Date.parse(now.dataset.serverNow) - started : 0;
  })();

  function words(seconds) {
    const size = Math.abs(seconds);
    if (size < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
    if (size < 172800) return relative.format(Math.trunc(seconds / 3600), "hour");
    return relative.format(Math.trunc(seconds / 86400), "day");
  }

  function refresh(root = document) {
    const now = Date.now() + SKEW;
    for (const element of root.querySelectorAll("time[data-when]")) {
      const seconds = (Date.parse(element.dateTime) - now) / 1000;
      // Below a minute the server's own words stand.
      if (Math.abs(seconds) < 60) continue;
      const text = words(seconds);
      if (element.textContent !== text) element.textContent = text;
    }
  }

  function localise(root = document) {
    for (const element of root.querySelectorAll("time[data-local]")) {
      element.textContent = absolute.format(Date.parse(element.dateTime));
    }
    for (const element of root.querySelectorAll("time[data-when]")) {
      element.title = absolute.format(Date.parse(element.dateTime));
    }
  }

  localise();
  setInterval(() => document.hidden || refresh(), 15000);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  document.addEventListener("htmx:afterSettle", () => {
    localise();
    refresh();
  });
})();
