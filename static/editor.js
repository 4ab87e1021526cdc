// The flow editor: the text in Ace, checked by the server as somebody types. Without it the form is a plain one.
(() => {
  const form = document.getElementById("flow-form");
  const area = document.getElementById("id_text");
  if (!form || !area || !window.ace) return;
  const at = (id) => document.getElementById(id);
  const data = form.dataset;
  const editable = data.editable === "yes";
  const host = at("ace");
  const token = form.querySelector("[name=csrfmiddlewaretoken]")?.value;

  // The text

  ace.config.set("useStrictCSP", true);
  ace.config.set("loadWorkerFromBlob", false);
  const editor = ace.edit(host);
  const session = editor.session;
  const setLanguage = (language) => {
    data.language = language;
    session.setMode(`ace/mode/${language}`);
    if (at("language")) at("language").textContent = language.toUpperCase();
    if (at("convert")) at("convert").textContent = `Convert to ${language === "json" ? "YAML" : "JSON"}`;
  };
  const theme = () => {
    const chosen = document.documentElement.dataset.theme;
    const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    editor.setTheme(dark ? "ace/theme/github_dark" : "ace/theme/github_light_default");
  };
  session.setUseWorker(false);
  session.setUseSoftTabs(true);
  session.setTabSize(2);
  session.setNewLineMode("unix");
  editor.setOptions({ readOnly: !editable, showPrintMargin: false, enableKeyboardAccessibility: true, fontSize: 13, highlightActiveLine: editable });
  editor.textInput.getElement().setAttribute("aria-label", "Flow document (YAML or JSON)");
  setLanguage(data.language);
  theme();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", theme);
  new MutationObserver(theme).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const first = area.value.replace(/\r\n/g, "\n");
  session.setValue(first);
  area.hidden = true;
  document.querySelector("label[for=id_text]")?.setAttribute("hidden", "");
  host.hidden = false;
  for (const one of document.querySelectorAll(".needs-script")) one.hidden = false;
  new ResizeObserver(() => editor.resize()).observe(host);
  editor.resize(true);

  const jump = (line, column) => {
    editor.gotoLine(line, Math.max(column - 1, 0), false);
    editor.focus();
    host.scrollIntoView({ block: "nearest" });
  };
  let anchors = new Map(Object.entries(JSON.parse(at("lines")?.textContent || "{}")));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-line]");
    if (button) jump(Number(button.dataset.line), Number(button.dataset.column || 1));
    const step = event.target.closest("#drawing a[href^='#']");
    if (step && anchors.has(step.getAttribute("href").slice(1))) {
      event.preventDefault();
      jump(anchors.get(step.getAttribute("href").slice(1)), 1);
    }
  });
  if (!editable) return;

  // Asking the server

  const ask = async (address, value, signal) => {
    const answer = await fetch(address, {
      method: value === undefined ? "GET" : "POST",
      headers: value === undefined ? {} : { "Content-Type": "application/json", "X-CSRFToken": token },
      body: value === undefined ? undefined : JSON.stringify(value),
      signal,
    });
    if (!(answer.headers.get("Content-Type") || "").startsWith("application/json")) {
      throw new Error(answer.redirected || answer.status === 403 ? "you are signed out or lack permission; your document is kept in this browser" : `the server returned ${answer.status}`);
    }
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.errors.map((one) => `${one.path ? `${one.path}: ` : ""}${one.message}`).join("; "));
    return told;
  };

  // Errors as somebody types

  const state = { checked: null, steps: [], triggers: [], paths: {}, payloads: {}, words: { packs: {}, keys: [], filters: [], functions: [], tags: [] } };
  let marks = [];
  const mark = (findings) => {
    session.setAnnotations(findings.map((one) => ({
      row: one.line - 1, column: one.column - 1, type: one.kind, text: `${one.path ? `${one.path}: ` : ""}${one.message}`,
    })));
    marks.forEach((id) => session.removeMarker(id));
    const { Range } = ace.require("ace/range");
    marks = findings.filter((one) => one.kind === "error").map((one) => {
      const row = Math.min(one.line, session.getLength()) - 1;
      const end = session.getLine(row).length;
      const begin = Math.min(one.column - 1, Math.max(end - 1, 0));
      return session.addMarker(new Range(row, begin, row, end), "ace_mark-error", "text");
    });
  };
  const element = (name, content, className) => {
    const made = document.createElement(name);
    made.textContent = content;
    if (className) made.className = className;
    return made;
  };
  const listFindings = (findings) => {
    at("findings").replaceChildren(...findings.map((one) => {
      const item = element("li", "", one.kind);
      const button = element("button", `line ${one.line}`, "jump");
      button.type = "button";
      button.dataset.line = one.line;
      button.dataset.column = one.column;
      item.append(button, " ", element("span", one.kind, "word"), " ");
      if (one.path) item.append(element("code", one.path), " ");
      item.append(one.message);
      return item;
    }));
  };
  const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  const verdict = (findings) => {
    const errors = findings.filter((one) => one.kind === "error").length;
    const warnings = findings.length - errors;
    const warned = warnings ? count(warnings, "warning") : "";
    at("verdict").textContent = [errors ? count(errors, "error") : "no errors", warned].filter(Boolean).join(", ");
  };
  let underway = null;
  const check = async () => {
    underway?.abort();
    underway = new AbortController();
    at("verdict").textContent = "checking…";
    try {
      const text = session.getValue();
      const told = await ask(data.check, { text, flow: data.flow ? Number(data.flow) : null }, underway.signal);
      state.checked = { text, error: told.findings.find((one) => one.kind === "error") };
      if (!state.checked.error) at("not-saved").hidden = true;
      mark(told.findings);
      listFindings(told.findings);
      verdict(told.findings);
      if (told.language !== data.language) setLanguage(told.language);
      if (told.drawing) at("drawing").innerHTML = told.drawing;
      if (told.steps.length) state.steps = told.steps;
      anchors = new Map(told.steps.map((step) => [step.anchor, step.line]));
      lookForEvents();
    } catch (error) {
      if (error.name !== "AbortError") at("verdict").textContent = `check failed: ${error.message}`;
    }
  };
  let timer = 0;
  session.on("change", () => {
    at("not-saved").hidden = true; // the text it is about has changed
    clearTimeout(timer);
    timer = setTimeout(check, 400);
  });

  // What is not saved yet

  let leaving = false;
  const changed = () => session.getValue() !== first || data.kept === "no";
  const readDraft = () => {
    try { return JSON.parse(localStorage.getItem(data.draft)); } catch { return null; }
  };
  const dropDraft = () => { try { localStorage.removeItem(data.draft); } catch { /* no storage, no draft */ } };
  const keepDraft = () => {
    try {
      if (!changed()) dropDraft();
      else localStorage.setItem(data.draft, JSON.stringify({ text: session.getValue(), version: data.version, at: new Date().toISOString() }));
    } catch { /* the browser keeps nothing: then the question at leaving is all there is */ }
  };
  const saved = new URLSearchParams(location.search).get("saved");
  if (saved) {
    // The draft that was saved may be one of another page: of a new flow, or of a flow of another name.
    const key = data.draft.replace(/\.[^.]*$/, `.${saved}`);
    try { if (JSON.parse(localStorage.getItem(key))?.text === first) localStorage.removeItem(key); } catch { /* as above */ }
    history.replaceState(null, "", location.pathname);
  }
  const draft = readDraft();
  if (draft && typeof draft.text === "string" && draft.text !== first) {
    const upon = draft.version === data.version ? "" : " It is based on a different version: compare before you save.";
    at("draft-told").textContent = `This browser has an unsaved draft from ${new Date(draft.at).toLocaleString()}.${upon}`;
    at("draft").hidden = false;
  } else if (draft && data.kept === "yes") dropDraft();
  at("draft-take").addEventListener("click", () => {
    session.setValue(draft.text);
    at("draft").hidden = true;
    editor.focus();
  });
  at("draft-drop").addEventListener("click", () => {
    dropDraft();
    at("draft").hidden = true;
  });
  let draftTimer = 0;
  session.on("change", () => {
    if (!at("draft").hidden) return; // an older draft is not thrown away before somebody has decided
    clearTimeout(draftTimer);
    draftTimer = setTimeout(keepDraft, 300);
  });
  window.addEventListener("beforeunload", (event) => {
    if (leaving || !changed()) return;
    if (at("draft").hidden) keepDraft();
    event.preventDefault();
  });
  // What the server is known to refuse is not sent: the page stays as it is, with the cursor at the first error.
  const refused = () => {
    const error = state.checked?.text === session.getValue() ? state.checked.error : null;
    at("not-saved").hidden = !error;
    if (!error) return false;
    document.querySelector(".messagelist")?.remove(); // the outcome of an earlier save
    at("not-saved-why").textContent = `Line ${error.line}${error.path ? `, ${error.path}` : ""}: ${error.message}`;
    jump(error.line, error.column);
    at("not-saved").scrollIntoView({ block: "nearest" });
    return true;
  };
  form.addEventListener("submit", (event) => {
    if (refused()) return event.preventDefault();
    area.value = session.getValue();
    if (changed()) {
      at("draft").hidden = true;
      keepDraft();
    }
    leaving = true;
  });
  window.addEventListener("pageshow", () => { leaving = false; });
  const save = () => form.requestSubmit(at("save"));
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "s") {
      event.preventDefault();
      save();
    }
  });
  // Enter in the note saves, and never takes the button of another name, which stands first in the form.
  at("id_note").addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      save();
    }
  });

  // JSON and YAML

  const convert = async (anyway) => {
    try {
      const to = data.language === "json" ? "yaml" : "json";
      const told = await ask(data.convert, { text: session.getValue(), to, anyway });
      if (told.comments) at("comments-lost").showModal();
      else {
        session.doc.setValue(told.text);
        setLanguage(to);
      }
    } catch (error) {
      at("verdict").textContent = `conversion failed: ${error.message}`;
    }
  };
  at("convert").addEventListener("click", () => convert(false));
  at("convert-anyway").addEventListener("click", () => {
    at("comments-lost").close();
    convert(true);
  });

  // Completion

  const offer = (words, meta, score) => words.map((word) => ({ value: word, caption: word, meta, score }));
  const siblingPack = (row) => {
    // The packName of the mapping that the row is in: the nearest above or below with the same indentation.
    const indent = (line) => line.search(/\S/);
    const mine = indent(session.getLine(row));
    for (const step of [-1, 1]) {
      for (let other = row + step; other >= 0 && other < session.getLength(); other += step) {
        const line = session.getLine(other);
        if (!line.trim()) continue;
        if (indent(line) < mine) break;
        const found = indent(line) === mine && line.match(/"?packName"?\s*:\s*["']?([^"',]*)/);
        if (found) return found[1].trim();
      }
    }
    return "";
  };
  const blockOf = (row) => {
    const mine = session.getLine(row).search(/\S/);
    for (let other = row - 1; other >= 0; other -= 1) {
      const line = session.getLine(other);
      if (line.trim() && line.search(/\S/) < mine) return line.includes("event") ? "events" : "commands";
    }
    return "commands";
  };
  const inTemplate = (before) => {
    const open = Math.max(before.lastIndexOf("{{"), before.lastIndexOf("{%"));
    return open >= 0 && open > Math.max(before.lastIndexOf("}}"), before.lastIndexOf("%}")) ? before.slice(open) : "";
  };
  const stepAt = (row) => state.steps.filter((step) => step.line <= row + 1).pop();
  const templateWords = (template, row) => {
    if (/\|\s*\w*$/.test(template)) return offer(state.words.filters, "filter", 50);
    if (/^\{%-?\s*\w*$/.test(template)) return offer(state.words.tags, "tag", 50);
    const step = stepAt(row);
    const own = step ? state.paths[`${step.pack}.${step.event}`] || [] : [];
    const keys = [...new Set(state.steps.flatMap((one) => one.context))].map((key) => `Context.${key}`);
    const always = ["Event.Name", "Event.Payload", "Event.Pack.Name", "Event.Pack.Id", "Event.CreatedAt", "Event.ReceivedAt"];
    return [
      ...offer(own, "event", 90), ...offer(keys, "context", 80), ...offer(always, "event", 40),
      ...offer(state.words.functions.map((name) => `${name}(`), "function", 30),
    ];
  };
  const completer = {
    identifierRegexps: [/[\w.$-]/],
    getCompletions(_editor, _session, position, _prefix, done) {
      const before = session.getLine(position.row).slice(0, position.column);
      const template = inTemplate(before);
      if (template) return done(null, templateWords(template, position.row));
      if (/"?packName"?\s*:\s*["']?[^"']*$/.test(before)) return done(null, offer(Object.keys(state.words.packs), "pack", 90));
      if (/(^|[\s{,"-])name"?\s*:\s*["']?[^"']*$/.test(before)) {
        const kind = blockOf(position.row);
        const known = state.words.packs[siblingPack(position.row)]?.[kind] || [];
        return done(null, offer(kind === "events" ? [...known, "FATAL"] : known, kind.slice(0, -1), 90));
      }
      if (/"?dependsOn"?\s*:.*$/.test(before)) return done(null, offer(state.steps.map((step) => step.id), "step", 90));
      return done(null, offer(state.words.keys, "key", 20));
    },
  };
  ace.require("ace/ext/language_tools");
  editor.completers = [completer];
  editor.setOptions({ enableBasicAutocompletion: [completer], enableLiveAutocompletion: [completer] });
  ask(data.words).then((words) => { state.words = words; }, () => { /* nothing to offer, then */ });

  // Trying

  // Which event is tried: the kept one that is marked, or one's own. What the script wrote follows the flow's triggers;
  // what somebody wrote stays, and is told of where the flow does not start on it.
  let written = "";
  let decided = false;
  const chosenEvent = () => form.querySelector("[name=try-event-id]:checked");
  const chooseEvent = (id) => {
    const kept = [...form.querySelectorAll("#try-events [name=try-event-id]:enabled")];
    const same = kept.find((one) => one.value === id);
    const own = at("try-own");
    const shown = same || (decided && id === "" ? own : kept[0] || own);
    shown.checked = true;
  };
  const writeEvent = () => {
    const [pack, name] = state.triggers[0] || [];
    written = pack ? JSON.stringify({ event: name, pack: { name: pack, labels: {} }, payload: state.payloads[`${pack}.${name}`] ?? {} }, null, 2) : "";
    at("try-event").value = written;
  };
  const nameOfOwn = () => {
    try {
      const own = JSON.parse(at("try-event").value);
      const pack = own?.pack?.name ?? state.triggers.find(([, name]) => name === own?.event)?.[0];
      return typeof own?.event === "string" ? [pack ?? "?", own.event].join(".") : "";
    } catch { return ""; }
  };
  const tellEvent = () => {
    const kept = chosenEvent()?.value ? chosenEvent() : null;
    const own = nameOfOwn();
    const triggers = (state.triggers || []).map((pair) => pair.join("."));
    const other = !kept && own && triggers.length && !triggers.includes(own);
    at("try-own-event").hidden = Boolean(kept);
    at("try-other").hidden = !other;
    if (other) at("try-other-told").textContent = `The event is ${own}, but the trigger events of the flow are ${triggers.join(", ")}.`;
    at("try-with").textContent = kept
      ? `with the stored event ${kept.dataset.name} from ${kept.closest("label").querySelector("time").textContent}`
      : own ? `with the custom event ${own}` : "with a custom event";
  };
  let looked = "";
  async function lookForEvents(again) {
    if (!at("try")) return;
    const pairs = [...new Map(state.steps.filter((step) => step.pack && step.event)
      .sort((one, other) => one.depends_on.length - other.depends_on.length)
      .map((step) => [`${step.pack}\n${step.event}`, step])).values()];
    const asked = JSON.stringify(pairs.map((step) => [step.pack, step.event, step.depends_on.length > 0]));
    if (asked === looked && !again) return;
    looked = asked;
    try {
      const triggers = pairs.filter((step) => !step.depends_on.length).map((step) => [step.pack, step.event]);
      const told = await ask(data.events, { pairs: triggers });
      const chosen = chosenEvent()?.value;
      at("try-events").innerHTML = told.html;
      chooseEvent(chosen);
      const others = pairs.filter((step) => step.depends_on.length).map((step) => [step.pack, step.event]);
      const later = others.length ? await ask(data.events, { pairs: others }) : { paths: {}, payloads: {} };
      state.paths = { ...later.paths, ...told.paths };
      state.payloads = { ...later.payloads, ...told.payloads };
      state.triggers = triggers;
      if ([written, ""].includes(at("try-event").value)) writeEvent();
      tellEvent();
    } catch (error) {
      at("try-told").textContent = error.message;
    }
  }
  const fillIn = () => {
    const results = {};
    for (const step of state.steps) {
      for (const named of step.depends_on) {
        results[named] ??= { event: step.event, payload: state.payloads[`${step.pack}.${step.event}`] ?? {} };
      }
    }
    at("try-results").value = JSON.stringify(results, null, 2);
  };
  const readJson = (id, what) => {
    const text = at(id).value.trim();
    if (!text) return undefined;
    try { return JSON.parse(text); } catch (error) { throw new Error(`${what}: ${error.message}`); }
  };
  const tellOld = () => {
    at("try-old").hidden = !at("try-outcome").childElementCount || session.getValue() === state.tried;
  };
  const tryIt = async () => {
    const button = at("try-run");
    button.disabled = true;
    at("try-told").textContent = "running…";
    try {
      const asked = { flow: session.getValue() };
      if (chosenEvent()?.value) asked.eventId = chosenEvent().value;
      else asked.event = readJson("try-event", "event");
      if (!asked.eventId && !asked.event) throw new Error("select an event or enter a custom event");
      const results = at("try-later").open ? readJson("try-results", "simulated results") : undefined;
      if (results) asked.results = results;
      at("try-outcome").innerHTML = (await ask(data.try, asked)).html;
      state.tried = asked.flow;
      tellOld();
      at("try-told").textContent = "";
    } catch (error) {
      at("try-told").textContent = error.message;
      at("try-outcome").replaceChildren();
      tellOld();
    } finally {
      button.disabled = false;
    }
  };
  if (at("try")) {
    at("try-run").addEventListener("click", tryIt);
    at("try-refresh").addEventListener("click", () => lookForEvents(true));
    at("try-skeleton").addEventListener("click", fillIn);
    at("try-later").addEventListener("toggle", () => { if (at("try-later").open && !at("try-results").value) fillIn(); });
    at("try").addEventListener("change", (event) => {
      if (event.target.name !== "try-event-id") return;
      decided = true;
      tellEvent();
    });
    at("try-event").addEventListener("input", tellEvent);
    at("try-anew").addEventListener("click", () => {
      writeEvent();
      tellEvent();
    });
    session.on("change", tellOld);
  }
  check();
})();
