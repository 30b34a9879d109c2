"use strict";
(() => {
  const records = JSON.parse(document.getElementById("records").textContent);
  const dialog = document.getElementById("provenance");

  // Provenance: any element with a data-key opens its record, by click, Enter or space.
  const element = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const plain = (value) =>
    Array.isArray(value) ? (value.every((item) => typeof item !== "object") ? value.join(" ") : JSON.stringify(value)) : String(value);

  function list(values) {
    const found = element("dl");
    for (const [name, value] of Object.entries(values)) {
      found.append(element("dt", name.replaceAll("_", " ")));
      const cell = element("dd");
      if (value !== null && typeof value === "object" && !Array.isArray(value)) cell.append(list(value));
      else cell.textContent = plain(value);
      found.append(cell);
    }
    return found;
  }

  function scoreTable(scores) {
    const table = element("table");
    const head = table.createTHead().insertRow();
    for (const name of ["score", "value", "standard error", "n", "protocol"]) head.append(element("th", name));
    const body = table.createTBody();
    for (const score of scores) {
      const row = body.insertRow();
      for (const name of ["name", "value", "stderr", "n", "protocol"]) row.insertCell().textContent = score[name] ?? "";
      if (score.note) row.lastChild.textContent += ` — ${score.note}`;
    }
    return table;
  }

  function show(key) {
    const record = records[key];
    if (!record) return;
    const { scores = [], model, ...rest } = record;
    const name = model ? model.name : "images";
    document.getElementById("provenance-title").textContent = `${name}: ${record.kind}, ${record.origin} (${key})`;
    const body = document.getElementById("provenance-body");
    body.replaceChildren();
    if (scores.length) body.append(scoreTable(scores));
    if (model) body.append(element("h3", "model"), list(model));
    const simple = {};
    for (const [field, value] of Object.entries(rest)) {
      if (value !== null && typeof value === "object" && !Array.isArray(value)) body.append(element("h3", field), list(value));
      else simple[field] = value;
    }
    body.append(element("h3", "record"), list(simple));
    if (!dialog.open) dialog.showModal();
    history.replaceState(null, "", `#record=${key}`);
  }

  const keyOf = (event) => event.target.closest?.("[data-key]")?.dataset.key;
  document.addEventListener("click", (event) => {
    const key = keyOf(event);
    if (key) show(key);
    else if (event.target === dialog) dialog.close();
  });
  document.addEventListener("keydown", (event) => {
    if ((event.key === "Enter" || event.key === " ") && event.target.matches?.("g[data-key]")) {
      event.preventDefault();
      show(keyOf(event));
    }
  });
  dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));

  // Sorting: inside each group, empty cells last in both directions.
  function sortBy(header) {
    const table = header.closest("table");
    const index = [...header.parentNode.children].indexOf(header);
    const numeric = header.dataset.sort === "number";
    const lowerFirst = !numeric || header.textContent.includes("↓");
    const current = header.getAttribute("aria-sort");
    const first = lowerFirst ? "ascending" : "descending";
    const order = current === "none" ? first : current === "ascending" ? "descending" : "ascending";
    for (const other of header.parentNode.children) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const read = (row) => {
      const cell = row.cells[index];
      const text = cell.dataset.value ?? (numeric ? "" : cell.textContent);
      return numeric ? (text === "" ? null : Number(text)) : text.toLowerCase();
    };
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      rows.sort((one, other) => {
        const [a, b] = [read(one), read(other)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (numeric ? a - b : a.localeCompare(b));
      });
      body.append(...rows);
    }
  }
  for (const header of document.querySelectorAll(".board thead th"))
    header.querySelector("button").addEventListener("click", () => sortBy(header));

  // Filtering: text in any cell, group, origin.
  const search = document.getElementById("search");
  const family = document.getElementById("family");
  const origin = document.getElementById("origin");
  const texts = new Map();
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0, all = 0;
    for (const table of document.querySelectorAll(".board")) {
      for (const body of table.tBodies) {
        let any = false;
        for (const row of body.rows) {
          if (row.classList.contains("group")) continue;
          if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
          const text = texts.get(row);
          const keep = (!family.value || body.dataset.family === family.value)
            && (!origin.value || row.dataset.origin === origin.value)
            && words.every((word) => text.includes(word));
          row.hidden = !keep;
          any ||= keep;
          all += 1;
          shown += keep;
        }
        body.hidden = !any;
      }
    }
    document.getElementById("shown").textContent = shown === all ? `${all} records` : `${shown} of ${all} records`;
  }
  if (search) {
    for (const control of [search, family, origin]) control.addEventListener("input", filter);
    filter();
  }

  const linked = /^#record=([0-9a-f]+)$/.exec(location.hash);
  if (linked) show(linked[1]);
})();
