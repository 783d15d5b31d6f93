// The payload viewer: finds in a folded tree, shows the path of what is chosen, copies path and value, switches to the raw text.
// The tree, its folding and the raw text work without this script.
(() => {
  const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

  function prepare(root) {
    const tools = "[data-payload-search][hidden], [data-payload-raw][hidden], [data-json-copy=all][hidden]";
    for (const part of root.querySelectorAll(tools)) part.hidden = false;
    for (const box of root.querySelectorAll("[data-payload-raw-box]:not([hidden])")) {
      if (box.parentElement.querySelector("[data-payload-raw]")) {
        box.hidden = true;
        box.open = true;
      }
    }
  }

  const payloadOf = (element) => element.closest(".payload") ?? element.closest(".panel-body") ?? document.body;

  function pathOf(node) {
    const parts = [];
    for (let each = node; each && !each.classList.contains("json-tree"); each = each.parentElement) {
      if (each.dataset?.key === undefined) continue;
      const key = JSON.parse(each.dataset.key);
      parts.unshift(typeof key === "number" ? `[${key}]` : IDENTIFIER.test(key) ? `.${key}` : `[${each.dataset.key}]`);
    }
    return `$${parts.join("")}`;
  }

  // The value as JSON text, from the tokens in the page: parsing them would round big numbers.
  // Null when a part of it is not in the page.
  function valueOf(node) {
    const leaf = node.querySelector(":scope > .json-value");
    if (leaf) return "cut" in leaf.dataset ? null : leaf.textContent;
    const parts = [];
    for (const child of node.querySelectorAll(":scope > details > ul > li")) {
      if (child.classList.contains("json-more")) return null;
      const value = valueOf(child);
      if (value === null) return null;
      const key = JSON.parse(child.dataset.key);
      parts.push(typeof key === "number" ? value : `${child.dataset.key}: ${value}`);
    }
    const isArray = node.querySelector(":scope > details > summary > .json-size").textContent.startsWith("[");
    return isArray ? `[${parts.join(", ")}]` : `{${parts.join(", ")}}`;
  }

  function choose(node) {
    const payload = payloadOf(node);
    for (const before of payload.querySelectorAll(".json-chosen")) before.classList.remove("json-chosen");
    node.classList.add("json-chosen");
    const bar = payload.querySelector("[data-json-path]");
    bar.hidden = false;
    bar.querySelector("code").textContent = pathOf(node);
    bar.querySelector("[data-json-copy=value]").disabled = valueOf(node) === null;
  }

  async function copy(button) {
    const payload = payloadOf(button);
    const chosen = payload.querySelector(".json-chosen");
    const what = button.dataset.jsonCopy;
    const text = what === "all" ? payload.querySelector("pre").textContent : what === "path" ? pathOf(chosen) : valueOf(chosen);
    await navigator.clipboard.writeText(text);
    document.getElementById("announcement").textContent = "Copied";
  }

  function toggleRaw(button) {
    const payload = payloadOf(button);
    const raw = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", raw);
    payload.querySelector(".json-box").hidden = raw;
    payload.querySelector("[data-payload-raw-box]").hidden = !raw;
  }

  // Shows the nodes whose key or value has the text, with what leads to them.
  function find(input) {
    const wanted = input.value.trim().toLowerCase();
    const nodes = payloadOf(input).querySelectorAll(".json-tree li");
    for (const node of nodes) {
      node.hidden = Boolean(wanted);
      node.classList.remove("json-found");
    }
    if (!wanted) return;
    let count = 0;
    for (const node of nodes) {
      const own = [node.dataset.key ?? "", node.querySelector(":scope > .json-value")?.textContent ?? ""];
      if (!own.some((text) => text.toLowerCase().includes(wanted))) continue;
      count += 1;
      node.classList.add("json-found");
      for (let each = node; each && !each.classList.contains("json-tree"); each = each.parentElement) {
        each.hidden = false;
        if (each !== node && each.tagName === "DETAILS") each.open = true;
      }
      for (const below of node.querySelectorAll("li")) below.hidden = false;
    }
    document.getElementById("announcement").textContent = `${count} found`;
  }

  prepare(document);
  document.addEventListener("htmx:afterSettle", () => prepare(document));
  document.addEventListener("input", (event) => {
    if (event.target.matches?.("[data-payload-search]")) find(event.target);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-json-copy]");
    if (button) return copy(button);
    const raw = event.target.closest("[data-payload-raw]");
    if (raw) return toggleRaw(raw);
    const node = event.target.closest(".json-tree li:not(.json-more)");
    if (node) choose(node);
  });
  // Arrow keys walk the lines of a tree that has the focus, right and left open and close.
  document.addEventListener("keydown", (event) => {
    const box = event.target.closest?.(".json-box");
    if (!box || event.ctrlKey || event.metaKey || event.altKey) return;
    const chosen = box.querySelector(".json-chosen");
    if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && chosen) {
      const details = chosen.querySelector(":scope > details");
      if (details) details.open = event.key === "ArrowRight";
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const lines = [...box.querySelectorAll("li:not(.json-more)")].filter((line) => line.checkVisibility());
      const next = lines.indexOf(chosen) + (event.key === "ArrowDown" ? 1 : -1);
      if (!lines[next]) return;
      choose(lines[next]);
      lines[next].scrollIntoView({ block: "nearest" });
    } else return;
    event.preventDefault();
  });
})();
