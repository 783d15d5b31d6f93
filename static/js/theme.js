// The light/dark switch. The choice is a cookie, so the server sends the right theme with the first byte.
(() => {
  const root = document.documentElement;
  const dark = () => {
    const chosen = root.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const theme = dark() ? "light" : "dark";
      root.dataset.theme = theme;
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `theme=${theme}; path=/; max-age=31536000; SameSite=Lax${secure}`;
    });
  }
})();
