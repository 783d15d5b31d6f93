// Keeps relative times and running durations true between answers of the server.
// <time data-relative datetime=…>: "3 minutes ago"; <… data-since="ISO">: the time since then.
(() => {
  const SKEW = (() => {
    const now = document.querySelector("[data-server-now]");
    return now ? Date.parse(now.dataset.serverNow) - Date.now() : 0;
  })();

  const two = (number) => String(number).padStart(2, "0");

  function duration(seconds) {
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min ${two(Math.floor(seconds % 60))} s`;
    const hours = Math.floor(minutes / 60);
    if (hours < 24) return `${hours} h ${two(minutes % 60)} min`;
    return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
  }

  function words(seconds) {
    const size = Math.abs(seconds);
    if (size < 1) return "now";
    if (seconds < 0) return `in ${duration(size)}`;
    const [count, unit] =
      size < 60 ? [Math.floor(size), "second"]
      : size < 3600 ? [Math.floor(size / 60), "minute"]
      : size < 86400 ? [Math.floor(size / 3600), "hour"]
      : [Math.floor(size / 86400), "day"];
    return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function refresh() {
    if (document.hidden) return;
    const now = Date.now() + SKEW;
    for (const element of document.querySelectorAll("time[data-relative]")) {
      write(element, words((now - Date.parse(element.dateTime)) / 1000));
    }
    for (const element of document.querySelectorAll("[data-since]")) {
      const since = (now - Date.parse(element.dataset.since)) / 1000;
      if (since >= 1) write(element, duration(since));
    }
  }

  setInterval(refresh, 1000);
  document.addEventListener("visibilitychange", refresh);
})();
