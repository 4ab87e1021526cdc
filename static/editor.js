// The flow editor: the document in Ace, checked by the server while the user types. Without Ace, the plain form works.
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
  for (const part of document.querySelectorAll(".needs-script")) part.hidden = false;
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
    const step = event.target.closest("#diagram a[href^='#']");
    if (step && anchors.has(step.getAttribute("href").slice(1))) {
      event.preventDefault();
      jump(anchors.get(step.getAttribute("href").slice(1)), 1);
    }
  });
  if (!editable) return;

  // Requests

  const fetchJson = async (address, value, signal) => {
    const answer = await fetch(address, {
      method: value === undefined ? "GET" : "POST",
      headers: value === undefined ? {} : { "Content-Type": "application/json", "X-CSRFToken": token },
      body: value === undefined ? undefined : JSON.stringify(value),
      signal,
    });
    if (!(answer.headers.get("Content-Type") || "").startsWith("application/json")) {
      throw new Error(answer.redirected || answer.status === 403 ? "you are signed out or lack permission; your document is kept in this browser" : `the server returned ${answer.status}`);
    }
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.errors.map((error) => `${error.path ? `${error.path}: ` : ""}${error.message}`).join("; "));
    return body;
  };

  // Validation while the user types

  const state = { checked: null, steps: [], triggers: [], paths: {}, payloads: {}, words: { packs: {}, keys: [], filters: [], functions: [], tags: [] } };
  let marks = [];
  const mark = (findings) => {
    session.setAnnotations(findings.map((finding) => ({
      row: finding.line - 1, column: finding.column - 1, type: finding.kind, text: `${finding.path ? `${finding.path}: ` : ""}${finding.message}`,
    })));
    marks.forEach((id) => session.removeMarker(id));
    const { Range } = ace.require("ace/range");
    marks = findings.filter((finding) => finding.kind === "error").map((finding) => {
      const row = Math.min(finding.line, session.getLength()) - 1;
      const end = session.getLine(row).length;
      const begin = Math.min(finding.column - 1, Math.max(end - 1, 0));
      return session.addMarker(new Range(row, begin, row, end), "ace_mark-error", "text");
    });
  };
  const element = (name, content, className) => {
    const node = document.createElement(name);
    node.textContent = content;
    if (className) node.className = className;
    return node;
  };
  const listFindings = (findings) => {
    at("findings").replaceChildren(...findings.map((finding) => {
      const item = element("li", "", finding.kind);
      const button = element("button", `line ${finding.line}`, "jump");
      button.type = "button";
      button.dataset.line = finding.line;
      button.dataset.column = finding.column;
      item.append(button, " ", element("span", finding.kind, "word"), " ");
      if (finding.path) item.append(element("code", finding.path), " ");
      item.append(finding.message);
      return item;
    }));
  };
  const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
  const verdict = (findings) => {
    const errors = findings.filter((finding) => finding.kind === "error").length;
    const warnings = findings.length - errors;
    const warned = warnings ? count(warnings, "warning") : "";
    at("verdict").textContent = [errors ? count(errors, "error") : "no errors", warned].filter(Boolean).join(", ");
  };
  // A text with errors has no diagram: the last one stays, with a title that says so.
  const showDiagram = (diagram) => {
    if (diagram) at("diagram").innerHTML = diagram;
    const isOutdated = !diagram && at("diagram").querySelector("svg");
    at("diagram-title").textContent = isOutdated ? "Diagram of the last valid text" : "Diagram";
  };
  let pendingCheck = null;
  const check = async () => {
    pendingCheck?.abort();
    pendingCheck = new AbortController();
    at("verdict").textContent = "checking…";
    try {
      const text = session.getValue();
      const result = await fetchJson(data.check, { text, flow: data.flow ? Number(data.flow) : null }, pendingCheck.signal);
      state.checked = { text, error: result.findings.find((finding) => finding.kind === "error") };
      if (!state.checked.error) at("not-saved").hidden = true;
      mark(result.findings);
      listFindings(result.findings);
      verdict(result.findings);
      if (result.language !== data.language) setLanguage(result.language);
      showDiagram(result.diagram);
      if (result.steps.length) state.steps = result.steps;
      anchors = new Map(result.steps.map((step) => [step.anchor, step.line]));
      loadEvents();
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

  // Unsaved changes

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
    } catch { /* no storage: only the prompt before leaving protects the changes */ }
  };
  const saved = new URLSearchParams(location.search).get("saved");
  if (saved) {
    // The saved draft can belong to a different page: that of a new flow, or of a flow with a different name.
    const key = data.draft.replace(/\.[^.]*$/, `.${saved}`);
    try { if (JSON.parse(localStorage.getItem(key))?.text === first) localStorage.removeItem(key); } catch { /* no storage, no draft */ }
    history.replaceState(null, "", location.pathname);
  }
  const draft = readDraft();
  if (draft && typeof draft.text === "string" && draft.text !== first) {
    const basis = draft.version === data.version ? "" : " It is based on a different version: compare before you save.";
    at("draft-message").textContent = `This browser has an unsaved draft from ${new Date(draft.at).toLocaleString()}.${basis}`;
    at("draft").hidden = false;
  } else if (draft && data.kept === "yes") dropDraft();
  at("draft-restore").addEventListener("click", () => {
    session.setValue(draft.text);
    at("draft").hidden = true;
    editor.focus();
  });
  at("draft-discard").addEventListener("click", () => {
    dropDraft();
    at("draft").hidden = true;
  });
  let draftTimer = 0;
  session.on("change", () => {
    if (!at("draft").hidden) return; // keep the older draft until the user restores or discards it
    clearTimeout(draftTimer);
    draftTimer = setTimeout(keepDraft, 300);
  });
  window.addEventListener("beforeunload", (event) => {
    if (leaving || !changed()) return;
    if (at("draft").hidden) keepDraft();
    event.preventDefault();
  });
  // If the last check found an error in this text, do not submit the form: show the error, and move the cursor to it.
  const showKnownError = () => {
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
    if (showKnownError()) return event.preventDefault();
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
  // Enter in the note saves under the current name. Otherwise it would press the first button: save as a new flow.
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
      const result = await fetchJson(data.convert, { text: session.getValue(), to, anyway });
      if (result.comments) at("comments-lost").showModal();
      else {
        session.doc.setValue(result.text);
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
    // The packName of the mapping that contains the row: the nearest above or below with the same indentation.
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
  const blockAt = (row) => {
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
    const keys = [...new Set(state.steps.flatMap((other) => other.context))].map((key) => `Context.${key}`);
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
        const kind = blockAt(position.row);
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
  fetchJson(data.words).then((words) => { state.words = words; }, () => { /* no completions */ });

  // Dry run

  // A dry run uses the selected stored event, or the custom event. The script updates the custom event that it has
  // generated if the trigger events change. It keeps one that the user has edited, and warns if it does not start the flow.
  let generated = "";
  let hasChosen = false;
  const chosenEvent = () => form.querySelector("[name=try-event-id]:checked");
  const chooseEvent = (id) => {
    const stored = [...form.querySelectorAll("#try-events [name=try-event-id]:enabled")];
    const same = stored.find((input) => input.value === id);
    const own = at("try-own");
    const selected = same || (hasChosen && id === "" ? own : stored[0] || own);
    selected.checked = true;
  };
  const writeEvent = () => {
    const [pack, name] = state.triggers[0] || [];
    generated = pack ? JSON.stringify({ event: name, pack: { name: pack, labels: {} }, payload: state.payloads[`${pack}.${name}`] ?? {} }, null, 2) : "";
    at("try-event").value = generated;
  };
  const customEventName = () => {
    try {
      const own = JSON.parse(at("try-event").value);
      const pack = own?.pack?.name ?? state.triggers.find(([, name]) => name === own?.event)?.[0];
      return typeof own?.event === "string" ? [pack ?? "?", own.event].join(".") : "";
    } catch { return ""; }
  };
  const describeEvent = () => {
    const stored = chosenEvent()?.value ? chosenEvent() : null;
    const own = customEventName();
    const triggers = (state.triggers || []).map((pair) => pair.join("."));
    const isOther = !stored && own && triggers.length && !triggers.includes(own);
    at("try-own-event").hidden = Boolean(stored);
    at("try-other").hidden = !isOther;
    if (isOther) at("try-other-message").textContent = `The event is ${own}, but the trigger events of the flow are ${triggers.join(", ")}.`;
    at("try-with").textContent = stored
      ? `with the stored event ${stored.dataset.name} from ${stored.closest("label").querySelector("time").textContent}`
      : own ? `with the custom event ${own}` : "with a custom event";
  };
  let loadedPairs = "";
  async function loadEvents(reload) {
    if (!at("try")) return;
    const pairs = [...new Map(state.steps.filter((step) => step.pack && step.event)
      .sort((left, right) => left.depends_on.length - right.depends_on.length)
      .map((step) => [`${step.pack}\n${step.event}`, step])).values()];
    const newPairs = JSON.stringify(pairs.map((step) => [step.pack, step.event, step.depends_on.length > 0]));
    if (newPairs === loadedPairs && !reload) return;
    loadedPairs = newPairs;
    try {
      const triggers = pairs.filter((step) => !step.depends_on.length).map((step) => [step.pack, step.event]);
      const result = await fetchJson(data.events, { pairs: triggers });
      const chosen = chosenEvent()?.value;
      at("try-events").innerHTML = result.html;
      chooseEvent(chosen);
      const others = pairs.filter((step) => step.depends_on.length).map((step) => [step.pack, step.event]);
      const later = others.length ? await fetchJson(data.events, { pairs: others }) : { paths: {}, payloads: {} };
      state.paths = { ...later.paths, ...result.paths };
      state.payloads = { ...later.payloads, ...result.payloads };
      state.triggers = triggers;
      if ([generated, ""].includes(at("try-event").value)) writeEvent();
      describeEvent();
    } catch (error) {
      at("try-message").textContent = error.message;
    }
  }
  const fillInResults = () => {
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
  const updateOutdated = () => {
    at("try-old").hidden = !at("try-outcome").childElementCount || session.getValue() === state.tried;
  };
  const runDryRun = async () => {
    const button = at("try-run");
    button.disabled = true;
    at("try-message").textContent = "running…";
    try {
      const request = { flow: session.getValue() };
      if (chosenEvent()?.value) request.eventId = chosenEvent().value;
      else request.event = readJson("try-event", "event");
      if (!request.eventId && !request.event) throw new Error("select an event or enter a custom event");
      const results = at("try-later").open ? readJson("try-results", "simulated results") : undefined;
      if (results) request.results = results;
      at("try-outcome").innerHTML = (await fetchJson(data.try, request)).html;
      state.tried = request.flow;
      updateOutdated();
      at("try-message").textContent = "";
    } catch (error) {
      at("try-message").textContent = error.message;
      at("try-outcome").replaceChildren();
      updateOutdated();
    } finally {
      button.disabled = false;
    }
  };
  if (at("try")) {
    at("try-run").addEventListener("click", runDryRun);
    at("try-refresh").addEventListener("click", () => loadEvents(true));
    at("try-skeleton").addEventListener("click", fillInResults);
    at("try-later").addEventListener("toggle", () => { if (at("try-later").open && !at("try-results").value) fillInResults(); });
    at("try").addEventListener("change", (event) => {
      if (event.target.name !== "try-event-id") return;
      hasChosen = true;
      describeEvent();
    });
    at("try-event").addEventListener("input", describeEvent);
    at("try-reset").addEventListener("click", () => {
      writeEvent();
      describeEvent();
    });
    session.on("change", updateOutdated);
  }
  check();
})();
