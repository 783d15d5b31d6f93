// What a person opened, loaded or focused survives a refresh of its region.
// An element with data-keep="version" whose version has not changed is not replaced at all: the old one moves into the new
// region. Of a changed one its open <details id> stay open and what was loaded into it (data-loaded in an element with an id) is carried over.
(() => {
  let focused = null;

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = event.detail;
    focused = target.contains(document.activeElement) ? document.activeElement.id : null;
    for (const fresh of fragment.querySelectorAll("[data-keep][id]")) {
      const old = document.getElementById(fresh.id);
      if (!old) continue;
      if (old.dataset.keep === fresh.dataset.keep) {
        fresh.replaceWith(old);
        continue;
      }
      for (const part of fresh.querySelectorAll("details[id]")) {
        const before = old.querySelector(`#${CSS.escape(part.id)}`);
        if (before) part.open = before.open;
      }
      for (const part of old.querySelectorAll("[id] > [data-loaded]")) {
        fresh.querySelector(`#${CSS.escape(part.parentElement.id)} > .payload`)?.replaceWith(part);
      }
    }
  });

  document.addEventListener("htmx:oobAfterSwap", () => {
    if (!focused) return;
    document.getElementById(focused)?.focus({ preventScroll: true });
    focused = null;
  });
})();
