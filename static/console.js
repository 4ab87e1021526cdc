// What all pages share: copying a line, asking before something is done. No page has scripts of its own within it.
(() => {
  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  const placeOf = (details) => `${details.closest("[id]")?.id} ${details.querySelector("summary").textContent}`;
  // What asks again and again (hx-trigger="every 2s") rests while nobody looks at the page.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const trigger = event.detail.elt.getAttribute("hx-trigger") || "";
    if (document.hidden && trigger.includes("every ")) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-open], [data-close]");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    if (button.dataset.open) document.getElementById(button.dataset.open).showModal();
    if (button.hasAttribute("data-close")) button.closest("dialog").close();
  });
  // What people have folded open stays so where a part of the page is replaced.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", () => {
    opened = [...document.querySelectorAll("details[open]")].map(placeOf);
  });
  document.addEventListener("htmx:afterSettle", () => {
    document.querySelectorAll("details:not([open])").forEach((details) => {
      if (opened.includes(placeOf(details))) details.open = true;
    });
  });
})();
