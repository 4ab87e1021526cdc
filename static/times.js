// Times go on while a page stays open: "3 min 5 s ago" becomes "3 min 10 s ago". The words are those of the server
// (flyte_site/core/timestamps.py), and so is the clock: the page says when the server made it.
(() => {
  const EVERY_MS = 5000;
  const made = Date.parse(document.querySelector("meta[name=server-time]").content);
  const behind = made - Date.now();
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const inWords = (ms) => {
    const seconds = ms / 1000;
    if (seconds < 0.9995) return `${Math.round(ms)} ms`;
    if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
    const parts = [];
    let rest = Math.round(seconds);
    for (const [size, unit] of UNITS) {
      const count = Math.floor(rest / size);
      rest %= size;
      if (count || parts.length) parts.push(count ? `${count} ${unit}` : "");
    }
    return parts.slice(0, 2).filter(Boolean).join(" ");
  };
  const DAY_MS = 86400 * 1000;
  const lengthInWords = (ms) => (ms >= 3 * DAY_MS ? `${Math.floor(ms / DAY_MS)} days` : inWords(ms));
  const told = (passed) => {
    if (Math.abs(passed) <= 1000) return "just now";
    return passed < 0 ? `in ${lengthInWords(-passed)}` : `${lengthInWords(passed)} ago`;
  };
  const tellAll = () => {
    if (document.hidden) return;
    const now = Date.now() + behind;
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = told(now - Date.parse(time.dateTime));
      // What stands there already is left alone: somebody may have marked it to copy it.
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(tellAll, EVERY_MS);
  document.addEventListener("visibilitychange", tellAll);
})();
