// Behavior of all pages: copy buttons, dialogs, automatic refreshes. Pages have no inline scripts.
(() => {
  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(text);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  const detailsKey = (details) => `${details.closest("[id]")?.id} ${details.querySelector("summary").textContent}`;
  // Parts that refresh automatically (hx-trigger="every 2s") pause while the page is hidden.
  // They also pause while they contain an open dialog, so that its input is not lost.
  const hasOpenDialog = (part) => part.querySelector("dialog[open]") !== null;
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.detail.elt;
    const trigger = part.getAttribute("hx-trigger") || "";
    if ((document.hidden || hasOpenDialog(part)) && trigger.includes("every ")) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-open], [data-close]");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    if (button.dataset.open) document.getElementById(button.dataset.open).showModal();
    if (button.hasAttribute("data-close")) button.closest("dialog").close();
  });
  // A request that exceeds the server's limit loses the form's input. So report a file that is too large before it is sent.
  const formatSize = (bytes) => {
    const [unit, name] = bytes >= 1 << 20 ? [1 << 20, "MiB"] : [1 << 10, "KiB"];
    return `${Math.ceil((bytes * 100) / unit) / 100} ${name}`;
  };
  const reportLargeFile = (input) => {
    const [file] = input.files;
    const isTooLarge = Boolean(file) && file.size > Number(input.dataset.maxBytes);
    let message = document.getElementById(`${input.id}_too_large`);
    if (!message) {
      message = document.createElement("div");
      message.id = `${input.id}_too_large`;
      message.className = "errorlist";
      message.setAttribute("role", "alert");
      input.before(message);
    }
    message.textContent = isTooLarge ? `The file is ${formatSize(file.size)}; values can be at most ${input.dataset.maxSize}.` : "";
    return isTooLarge;
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("input[type=file][data-max-bytes]")) reportLargeFile(event.target);
  });
  document.addEventListener("submit", (event) => {
    const inputs = [...event.target.querySelectorAll("input[type=file][data-max-bytes]")];
    const wrong = inputs.find(reportLargeFile);
    if (!wrong) return;
    event.preventDefault();
    wrong.focus();
  });
  // If a diagram is taller than its canvas, scroll to the first step that was reached, otherwise to the first event.
  const scrollToStart = (canvas) => {
    const firstReached = canvas.querySelector(".flow-step:not(.flow-step-unreached)");
    const start = firstReached || canvas.querySelector(".flow-event");
    if (!start) return;
    const [box, canvasBox] = [start.getBoundingClientRect(), canvas.getBoundingClientRect()];
    canvas.scrollTop += box.top + box.height / 2 - canvasBox.top - canvas.clientHeight / 2;
  };
  document.querySelectorAll(".flow-canvas").forEach(scrollToStart);
  // After a refresh, reopen the details that were open, and restore the scroll position of the diagram.
  let openKeys = [];
  let scrolled = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (hasOpenDialog(event.detail.target)) event.detail.shouldSwap = false;
    openKeys = [...document.querySelectorAll("details[open]")].map(detailsKey);
    const canvas = document.querySelector(".flow-canvas");
    scrolled = canvas && [canvas.scrollLeft, canvas.scrollTop];
  });
  document.addEventListener("htmx:afterSettle", () => {
    document.querySelectorAll("details:not([open])").forEach((details) => {
      if (openKeys.includes(detailsKey(details))) details.open = true;
    });
    const canvas = document.querySelector(".flow-canvas");
    if (canvas && scrolled) canvas.scrollTo(...scrolled);
  });
})();
