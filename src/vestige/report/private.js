// The tables, charts and downloads of private.html. Text from the data is set as text, never as markup.
"use strict";
(() => {
  const byId = id => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const { columns, numbers, rows, pictures } = data.members;
  const place = Object.fromEntries(columns.map((name, i) => [name, i]));
  const shownColumns = columns.filter(name => !/_(lower|upper)$/.test(name));
  const titles = { score: "Score", false_positive_rate: "Nonmembers named with it (FPR)", precision: "Probability that it is right" };
  const PAGE = 20;
  const state = { odds: 1, text: "", by: null, down: true, n: PAGE };

  // ------------------------------------------------------------------ numbers
  // As `vestige records` has them: prior TPR / (prior TPR + (1 - prior) FPR), from its value at a prior of one half.
  const atPrior = precision => precision === null ? null : 1 / (1 + state.odds * (1 / precision - 1));
  const value = (row, name) => name.startsWith("precision") ? atPrior(row[place[name]]) : row[place[name]];
  const isRate = name => /^(precision|false_positive_rate)/.test(name);
  const percent = (x, name) => {
    if (x === null) return "–";
    const small = Math.min(x, 1 - x);
    const digits = small < 1e-5 ? 0 : Math.min(4, Math.max(1, 1 - Math.floor(Math.log10(100 * small))));
    return isRate(name) ? `${(100 * x).toFixed(digits)}%` : String(Number(x.toPrecision(4)));
  };

  // ------------------------------------------------------------------ the records
  const make = (tag, text, className) => {
    const one = document.createElement(tag);
    if (text !== undefined) one.textContent = text;
    if (className) one.className = className;
    return one;
  };
  const numeric = name => numbers[place[name]];
  const compared = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
    : a === null || b === null ? (a === null) - (b === null) : String(a).localeCompare(String(b), undefined, { numeric: true });

  function chosen() {
    const wanted = state.text.toLowerCase();
    const texts = columns.filter(name => !numeric(name)).map(name => place[name]);
    const kept = wanted ? rows.filter(row => texts.some(i => row[i].toLowerCase().includes(wanted))) : rows.slice();
    if (state.by) kept.sort((a, b) => compared(value(a, state.by), value(b, state.by)) * (state.down ? -1 : 1));
    return kept;
  }

  function line(row) {
    const tr = make("tr");
    if (Object.keys(pictures).length) {
      const td = make("td"), uri = pictures[row[0]];
      if (uri) td.append(Object.assign(make("img"), { src: uri, alt: "" }));
      tr.append(td);
    }
    shownColumns.forEach((name, i) => {
      const cell = make(i ? "td" : "th", numeric(name) ? percent(value(row, name), name) : row[place[name]], numeric(name) ? "num" : "");
      if (!i) cell.scope = "row";
      const ends = [`${name}_lower`, `${name}_upper`];
      if (ends[0] in place) {
        cell.append(make("span", ends.map(end => percent(value(row, end), end)).join(" to "), "sub"));
        cell.title = "95% interval, for this record alone";
      }
      tr.append(cell);
    });
    return tr;
  }

  function head() {
    const tr = make("tr");
    if (Object.keys(pictures).length) tr.append(make("td", "Picture"));
    shownColumns.forEach(name => {
      const th = make("th", undefined, numeric(name) ? "num" : ""), button = make("button", titles[name] || name);
      button.type = "button";
      th.scope = "col";
      button.addEventListener("click", () => {
        [state.by, state.down, state.n] = [name, state.by === name ? !state.down : numeric(name), PAGE];
        mark(tr, th, state.down);
        draw();
      });
      th.append(button);
      tr.append(th);
    });
    document.querySelector("#records thead").append(tr);
  }

  function draw() {
    const kept = chosen();
    const body = document.querySelector("#records tbody");
    body.replaceChildren(...kept.slice(0, state.n).map(line));
    byId("count").textContent = `${Math.min(state.n, kept.length).toLocaleString("en")} of ${kept.length.toLocaleString("en")} records shown.`;
    byId("more").hidden = kept.length <= state.n;
  }

  // ------------------------------------------------------------------ other tables
  function mark(tr, th, down) {
    for (const other of tr.children) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const tr = table.tHead.rows[0];
    [...tr.children].forEach((th, i) => th.firstChild.addEventListener("click", () => {
      const down = th.getAttribute("aria-sort") ? th.getAttribute("aria-sort") === "ascending" : i > 0;
      const key = one => {
        const said = one.children[i].dataset.value;
        return said === undefined ? one.children[i].textContent : said === "" ? -Infinity : Number(said);
      };
      const sorted = [...table.tBodies[0].rows].sort((a, b) => compared(key(a), key(b)) * (down ? -1 : 1));
      table.tBodies[0].append(...sorted);
      mark(tr, th, down);
    }));
  }

  // ------------------------------------------------------------------ downloads
  function save(name, url) {
    const a = make("a");
    Object.assign(a, { href: url, download: name });
    a.click();
    if (url.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  // A spreadsheet takes such text for a formula: an apostrophe more in front, as in results.csv.
  const harmless = text => typeof text === "string" && /^([ \t\r\n]*[=+\-@\uff1d\uff0b\uff0d\uff20]|['\t\r\n])/.test(text) ? `'${text}` : text;
  const csv = table => table.map(row => row.map(one => {
    const text = String(one === null ? "" : harmless(one));
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }).join(",")).join("\n") + "\n";
  const saveCsv = (name, table) => save(name, URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" })));

  byId("csv").addEventListener("click", () =>
    saveCsv("members-at-risk.csv", [columns, ...chosen().map(row => columns.map(name => value(row, name)))]));
  for (const button of document.querySelectorAll("[data-csv]")) {
    button.addEventListener("click", () => {
      const texts = row => [...row.children].map(cell => cell.dataset.value ?? cell.textContent);
      saveCsv(`${button.dataset.csv}.csv`, [...byId(button.dataset.csv).rows].map(texts));
    });
  }
  const views = {};
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", async () => {
      const { save: name, kind } = button.dataset;
      save(`${name}.${kind}`, await views[name].toImageURL(kind, kind === "png" ? 2 : 1));
    });
  }

  // ------------------------------------------------------------------ charts
  const config = Object.values(data.charts)[0]?.config || {};
  const curve = () => data.curve.map(([n, precision]) => ({ members: n, probability: atPrior(precision) }));
  const named = {
    config, width: 560, height: 240, data: { name: "curve", values: curve() },
    mark: { type: "line", point: true, color: "#0072B2", tooltip: { content: "data" } },
    encoding: {
      x: { field: "members", type: "quantitative", title: "Members named, those most at risk first" },
      y: { field: "probability", type: "quantitative", title: "Probability that a naming is right", scale: { domain: [0, 1] }, axis: { format: "%" } },
    },
  };
  // `ast` interprets expressions instead of making code of them, which the page's policy forbids.
  const options = { actions: false, renderer: "svg", ast: true, mode: "vega-lite" };
  async function embed(name, spec) {
    const drawn = await window.vegaEmbed(`#chart-${name}`, spec, options);
    views[name] = drawn.view;
    const place = byId(`chart-${name}`);
    place.querySelector("svg").setAttribute("aria-hidden", "true"); // the page names each chart as a whole
    place.dataset.drawn = "yes";
  }

  // ------------------------------------------------------------------ beginning
  byId("prior").addEventListener("input", event => {
    state.odds = 10 ** -Number(event.target.value);
    const prior = 1 / (1 + state.odds);
    byId("share").textContent = percent(prior, "precision");
    draw();
    views.named?.data("curve", curve()).runAsync();
  });
  byId("filter").addEventListener("input", event => { Object.assign(state, { text: event.target.value, n: PAGE }); draw(); });
  byId("more").addEventListener("click", () => { state.n += 200; draw(); });
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = (root.dataset.theme || (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
  });
  head();
  draw();
  (async () => {
    await embed("named", named);
    for (const [name, spec] of Object.entries(data.charts)) {
      await new Promise(requestAnimationFrame);
      await embed(name, spec);
    }
  })();
})();
