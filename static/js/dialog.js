// Opens the page of an action in a dialog. Without this script the same link leads to the same form as a page.
(() => {
  const dialog = document.getElementById("dialog");
  let opener = null;

  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    const answer = await fetch(link.href, { headers: { "X-Dialog": "1" }, credentials: "same-origin" }).catch(() => null);
    const isForm = answer && answer.headers.get("X-Dialog") === "1";
    if (!isForm) {
      location.href = link.href;
      return;
    }
    opener = link.id || null;
    const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
    dialog.replaceChildren(...parsed.body.childNodes);
    dialog.showModal();
    dialog.querySelector("[autofocus], textarea, button")?.focus();
  });

  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });

  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    if (opener) document.getElementById(opener)?.focus();
  });
})();
