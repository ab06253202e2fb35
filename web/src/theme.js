// Light and dark: as the system says, until the visitor chooses.

const stored = "preheat.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

// startTheme applies the choice and makes button change it.
export function startTheme(button) {
  let chosen = "";
  try {
    chosen = localStorage.getItem(stored) ?? "";
  } catch {
    // Forbidden: as the system says.
  }
  const current = () => chosen || (dark.matches ? "dark" : "light");

  function show() {
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    button.setAttribute("aria-pressed", String(current() === "dark"));
  }

  button.addEventListener("click", () => {
    chosen = current() === "dark" ? "light" : "dark";
    if ((chosen === "dark") === dark.matches) chosen = ""; // follows the system again
    try {
      localStorage.setItem(stored, chosen);
    } catch {
      // It lasts as long as the page.
    }
    show();
  });
  dark.addEventListener("change", show);
  show();
}
