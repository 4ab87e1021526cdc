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
  // So does what holds an open dialog: somebody may be writing in it.
  const isAsking = (part) => part.querySelector("dialog[open]") !== null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    const trigger = part.getAttribute("hx-trigger") || "";
    if ((document.hidden || isAsking(part)) && trigger.includes("every ")) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-open], [data-close]");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    if (button.dataset.open) document.getElementById(button.dataset.open).showModal();
    if (button.hasAttribute("data-close")) button.closest("dialog").close();
  });
  // A drawing that is higher than its place begins at what began the execution, or the flow, not on blank paper.
  const toTheStart = (canvas) => {
    const reached = canvas.querySelector(".flow-step:not(.flow-step-unreached)");
    const start = reached || canvas.querySelector(".flow-event");
    if (!start) return;
    const [box, around] = [start.getBoundingClientRect(), canvas.getBoundingClientRect()];
    canvas.scrollTop += box.top + box.height / 2 - around.top - canvas.clientHeight / 2;
  };
  document.querySelectorAll(".flow-canvas").forEach(toTheStart);
  // What people have folded open stays so where a part of the page is replaced, and a drawing stays where it was moved.
  let opened = [];
  let moved = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (isAsking(event.detail.target)) event.detail.shouldSwap = false;
    opened = [...document.querySelectorAll("details[open]")].map(placeOf);
    const canvas = document.querySelector(".flow-canvas");
    moved = canvas && [canvas.scrollLeft, canvas.scrollTop];
  });
  document.addEventListener("htmx:afterSettle", () => {
    document.querySelectorAll("details:not([open])").forEach((details) => {
      if (opened.includes(placeOf(details))) details.open = true;
    });
    const canvas = document.querySelector(".flow-canvas");
    if (canvas && moved) canvas.scrollTo(...moved);
  });
})();
