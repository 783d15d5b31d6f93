// Offers the zone that this computer has; without this script one chooses from the list.
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const select = document.getElementById("id_zone");
  const button = document.querySelector("[data-browser-zone]");
  if (!zone || ![...select.options].some((option) => option.value === zone)) return;
  button.textContent = `Use this computer's zone, ${zone}`;
  button.hidden = false;
  button.addEventListener("click", () => {
    select.value = zone;
    select.focus();
  });
})();
