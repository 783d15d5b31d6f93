// Copy buttons: <button data-copy="text" hidden>. Shown only where the browser lets a page write the clipboard.
(() => {
  const allowed = Boolean(navigator.clipboard);
  const show = (root) => {
    for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = !allowed;
  };
  show(document);
  document.addEventListener("htmx:afterSettle", () => show(document));
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    document.getElementById("announcement").textContent = "Copied";
    button.dataset.copied = "";
    setTimeout(() => delete button.dataset.copied, 1200);
  });
})();
