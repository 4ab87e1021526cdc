// Update relative times while a page is open: "3 min 5 s ago" becomes "3 min 10 s ago". The format is the same as the
// server's (flyte_site/core/timestamps.py). Times are relative to the server's clock, which the page contains.
(() => {
  const INTERVAL_MS = 5000;
  const renderedAt = Date.parse(document.querySelector("meta[name=server-time]").content);
  const clockOffset = renderedAt - Date.now();
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const humanizeDuration = (ms) => {
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
  const humanizeLength = (ms) => (ms >= 3 * DAY_MS ? `${Math.floor(ms / DAY_MS)} days` : humanizeDuration(ms));
  const humanizeAge = (ageMs) => {
    if (Math.abs(ageMs) <= 1000) return "just now";
    return ageMs < 0 ? `in ${humanizeLength(-ageMs)}` : `${humanizeLength(ageMs)} ago`;
  };
  const updateAll = () => {
    if (document.hidden) return;
    const now = Date.now() + clockOffset;
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = humanizeAge(now - Date.parse(time.dateTime));
      // Do not replace an unchanged text: the user may have selected it.
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(updateAll, INTERVAL_MS);
  document.addEventListener("visibilitychange", updateAll);
})();
