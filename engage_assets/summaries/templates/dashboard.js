// The page: what is chosen, how fresh it is, and every table beside its pictures.

const HANGUL = /[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]/;
const FAMILIES = { commerce: "Commerce", behaviour: "Behaviour" };
const MEASURES = { coverage: "filled", invalid: "is no number", duplicates: "copies", late: "days late", set_aside: "set aside", missing: "missing" };
const DAY = 86_400_000;
/** Days after its own that a page is the newest there can be. */
const LASTS = 2;
const at = (id) => document.getElementById(id);
let drawn = [];

/** An element; texts among its children stay texts. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children);
  if (children.length === 1 && typeof children[0] === "string" && HANGUL.test(children[0])) made.lang = "ko";
  return made;
}

const plural = (count, word) => `${grouped(String(count))} ${word}${count === 1 ? "" : word.endsWith("ch") ? "es" : "s"}`;
const daysBetween = (first, last) => Math.round((Date.parse(last) - Date.parse(first)) / DAY);

function chosen() {
  const service = at("service").value;
  const date = at("date").value;
  const quality = page.quality[service]?.[date] ?? [];
  return { service, date, days: page.services[service] ?? {}, frames: page.services[service]?.[date] ?? {}, quality };
}

/** How fresh the chosen day is: one word, and why. */
function freshness({ date, days, frames }) {
  const newest = Object.keys(days).sort().at(-1);
  const behind = date ? daysBetween(date, page.generatedFor) : 0;
  const absent = page.tables.filter((table) => !(table.name in frames)).length;
  if (!date) return ["stale", "Nothing", "no table is made for this service"];
  if (date < newest) return ["old", "Older day", `the newest is ${newest}`];
  if (behind > 0) return ["stale", "Stale", `the page is of ${page.generatedFor}, its newest tables are ${plural(behind, "day")} older`];
  if (absent) return ["stale", "Incomplete", `${plural(absent, "table")} of ${page.tables.length} not made for this day`];
  const age = Math.floor((Date.now() - Date.parse(page.generatedFor)) / DAY);
  if (age > LASTS) return ["old", "Old page", `all ${page.tables.length} tables are of its day, ${date}, but that is ${plural(age, "day")} ago: look for a newer page`];
  return ["fresh", "Up to date", `all ${page.tables.length} tables are of ${date}`];
}

function showBadge(choice) {
  const [state, word, why] = freshness(choice);
  at("badge").className = `badge ${state}`;
  at("badge").replaceChildren(el("strong", {}, `${word}:`), ` ${why}.`);
}

/** A key figure: label, value, what it rests on. */
const tile = (label, value, note) => el("div", {}, el("dt", {}, label), el("dd", {}, value), el("dd", {}, note));

/** Figures of a day and totals of a window; what would have to be added up comes from period_totals. */
function tiles({ frames, date }) {
  const frame = (name) => frames[name] && new Frame(tableOf(name), frames[name]);
  const total = (name) => frame("period_totals")?.row({ table_name: name });
  const made = [];
  const day = frame("dau")?.row({ date });
  if (day) {
    made.push(tile("Active users", inWords("count", day.daily_active_users), `on ${date}`));
    made.push(tile("Sessions", inWords("count", day.daily_sessions), `start on ${date}`));
  }
  for (const [name, label] of [["product_ranking", "Cart adds"], ["purchase_analytics", "Purchases"]]) {
    const row = total(name);
    if (row) made.push(tile(label, inWords("count", row.total_events), `by ${plural(row.unique_users, "user")} in ${plural(row.window_days, "day")}`));
  }
  for (const [name, label, of] of [["search_analytics", "Search click-through", "searching session"], ["hourly_traffic", "Cart conversion", "session"]]) {
    const row = total(name);
    if (row) made.push(tile(label, ratio(row), `of ${plural(row.rate_denominator, of)} in ${plural(row.window_days, "day")}`));
  }
  return made.length ? [el("dl", { class: "tiles" }, ...made)] : [];
}

const ratio = ({ rate_numerator: part, rate_denominator: whole }) => (whole ? inWords("percent", (100 * part) / whole) : "–");

function totalLine(table, { frames }) {
  if (!table.counted || !frames.period_totals) return [];
  const row = new Frame(tableOf("period_totals"), frames.period_totals).row({ table_name: table.name });
  if (!row) return [];
  const sessions = table.counted === "session" ? "" : ` in ${plural(row.unique_sessions, "session")}`;
  return [el("p", { class: "total" }, `In all: ${plural(row.total_events, table.counted)} by ${plural(row.unique_users, "user")}${sessions}.`)];
}

/** The column that stays in sight when a table is moved sideways. */
const fixed = (frame, column) => (column.name === frame.table.key[0] ? " key" : "");

function cell(frame, column, row) {
  const value = column.values[row];
  const isKey = frame.table.key.includes(column.name);
  const attributes = isKey ? { scope: "row", class: column.kind + fixed(frame, column) } : { class: column.kind };
  if (frame.isUnmeasured(column, row)) return el("td", { class: "none" }, "not measured");
  const isNothing = value === null || (column.kind === "counts" && !value.length);
  if (isNothing) return el(isKey ? "th" : "td", attributes, el("span", { "aria-hidden": "true" }, "–"), el("span", { class: "unseen" }, "none"));
  const text = column.isWhole ? WRITERS[column.kind](value.slice(0, -3)) : WRITERS[column.kind](value);
  return el(isKey ? "th" : "td", attributes, column.name === "table_name" ? titleOf(text) : text);
}

/** The numbers; days with the newest first. */
function numbers(frame) {
  const columns = frame.columns.map((column) => ({ ...column, isWhole: column.kind === "money" && column.values.every(isWhole) }));
  const rows = Array.from({ length: frame.height }, (_, row) => row);
  if (frame.column(frame.table.key[0]).kind === "date") rows.reverse();
  const heads = columns.map((column) => el("th", { scope: "col", class: column.kind + fixed(frame, column) }, column.label + (column.kind === "percent" ? " (%)" : "")));
  return el(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": `${frame.table.title}: table of ${plural(frame.height, "row")}` },
    el(
      "table",
      {},
      el("caption", { class: "unseen" }, `${frame.table.title}: ${frame.table.grain}`),
      el("thead", {}, el("tr", {}, ...heads)),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...columns.map((column) => cell(frame, column, row))))),
    ),
  );
}

/** Which figures are not measured and for want of what; what stands in for a missing input. */
function notes(frame, { quality, date }) {
  const wanting = {};
  for (const column of frame.columns) {
    const isWanting = column.values.some((_, row) => frame.isUnmeasured(column, row));
    if (isWanting) (wanting[frame.table.needs[column.name]] ??= []).push(column.label);
  }
  const lines = Object.entries(wanting).map(([need, labels]) => `Not measured where it says so: ${labels.join(", ")}. ${coverage(need, quality, date)}`);
  for (const [name, words] of Object.entries(frame.table.standIns)) {
    if (isMissing(quality, name)) lines.push(`${words} (${name} is missing on ${date}.)`);
  }
  return lines.map((line) => el("p", { class: "note" }, line));
}

const isMissing = (quality, wanted) => quality.some(([measure, name, , found]) => measure === "missing" && name === wanted && found);

function coverage(need, quality, date) {
  const [kind, value] = need.split(".");
  const row = quality.find(([measure, name]) => measure === "coverage" && name === need);
  const input = `Input: ${value} of ${kind} events`;
  if (!row) return `${input}.`;
  const [, , events, found] = row;
  return `${input}; ${found ? `${grouped(String(found))} of ${grouped(String(events))} had it on ${date}` : `it is missing in all ${grouped(String(events))} of ${date}`}.`;
}

function legend(picture) {
  const entries = picture.legend.map(([color, label]) => el("li", {}, el("i", { class: color }), label));
  if (picture.scale) entries.push(el("li", {}, "0 %", el("i", { class: "scale" }), inWords("percent", picture.scale)));
  if (picture.sides) entries.push(el("li", {}, `← ${picture.sides[0]}`), el("li", { class: "end" }, `${picture.sides[1]} →`));
  return entries.length ? [el("ul", { class: "legend" }, ...entries)] : [];
}

function figure(picture) {
  const place = el("div", { class: "chart", role: "img", "aria-label": picture.says, style: `height:${picture.height}px` });
  drawn.push({ place, picture });
  return el("figure", {}, el("figcaption", {}, picture.heading), ...legend(picture), place);
}

const meanings = (table) =>
  el(
    "details",
    {},
    el("summary", {}, `What the columns of ${table.title.toLowerCase()} mean`),
    el("dl", {}, ...table.columns.flatMap((column) => [el("dt", {}, column.label), el("dd", {}, column.means)])),
  );

function absence(table, { days, date }) {
  const others = Object.keys(days).filter((day) => table.name in days[day] && day !== date).sort();
  const last = others.length ? ` It was made for ${others.at(-1)}.` : "";
  return el("p", { class: "notice" }, `Not made for ${date}.${last}`);
}

function card(table, choice) {
  const rows = choice.frames[table.name];
  const title = el("h3", { id: `${table.name}-title` }, table.title);
  const whole = el("section", { class: "card", id: table.name, "aria-labelledby": `${table.name}-title` }, title);
  if (!rows) {
    whole.append(absence(table, choice));
    return whole;
  }
  const frame = new Frame(table, rows);
  const first = table.isRanked && frame.height ? `; ${plural(frame.height, "row")}` : "";
  const window = frame.windowDays ? `; ${plural(frame.windowDays, "day")} to ${choice.date}` : "";
  whole.append(el("p", { class: "lead" }, `${table.grain[0].toUpperCase()}${table.grain.slice(1)}${first}${window}`), ...totalLine(table, choice), ...notes(frame, choice));
  if (frame.height) {
    whole.append(el("div", { class: "pair" }, el("div", { class: "pictures" }, ...picturesOf(frame).map(figure)), numbers(frame)), meanings(table));
  } else {
    whole.append(el("p", { class: "lead" }, "No rows: nothing of the kind was logged in the window."));
  }
  return whole;
}

/** What the day's figures rest on. */
function qualityCard({ quality, date }) {
  const whole = el("section", { class: "card", id: "quality", "aria-labelledby": "quality-title" }, el("h3", { id: "quality-title" }, "What the figures rest on"));
  if (!quality.length) {
    whole.append(el("p", { class: "notice" }, `Nothing is known of the quality of ${date}.`));
    return whole;
  }
  const rows = quality.map(([measure, name, events, found]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", class: "text" }, name),
      el("td", { class: "text" }, MEASURES[measure] ?? measure),
      el("td", {}, measure === "missing" ? (found ? "yes" : "no") : grouped(String(found))),
      el("td", {}, grouped(String(events))),
      el("td", {}, events && measure !== "missing" ? inWords("percent", (100 * found) / events) : "–"),
    ),
  );
  const heads = ["What", "Measure", "Found", "Of events", "Share"].map((word, n) => el("th", { scope: "col", class: n < 2 ? "text" : "count" }, word));
  whole.append(
    el("p", { class: "lead" }, `Logged values of ${date}: filled, no number, copies left out, late events`),
    el(
      "div",
      { class: "scroll", role: "region", tabindex: "0", "aria-label": "What the figures rest on: table" },
      el("table", {}, el("caption", { class: "unseen" }, `Quality of ${date}`), el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)),
    ),
  );
  return whole;
}

function missingInputs({ quality, date }) {
  const absent = quality.filter(([measure, , , found]) => measure === "missing" && found).map(([, name]) => name);
  if (!absent.length) return [];
  const link = el("a", { href: "#quality" }, "what the figures rest on");
  return [el("p", { class: "notice", id: "missing" }, el("strong", {}, `Missing inputs on ${date}:`), ` ${absent.join(", ")}. Each table says what it could not measure; see `, link, ".")];
}

function contents() {
  const link = (id, title) => el("li", {}, el("a", { href: `#${id}` }, title));
  return el("nav", { "aria-label": "Tables" }, el("ul", {}, ...page.tables.map((table) => link(table.name, table.title)), link("quality", "Quality")));
}

function show() {
  const choice = chosen();
  for (const { chart } of drawn) chart?.dispose();
  drawn = [];
  showBadge(choice);
  const families = Object.entries(FAMILIES).flatMap(([family, title]) => [
    el("h2", { id: family }, title),
    ...page.tables.filter((table) => table.family === family).map((table) => card(table, choice)),
  ]);
  at("main").replaceChildren(...missingInputs(choice), ...tiles(choice), contents(), ...families, el("h2", {}, "Quality"), qualityCard(choice));
  requestAnimationFrame(draw);
}

/** Colours and the font as the style sheet has them now. */
function looks(place) {
  const style = getComputedStyle(document.body);
  const colors = ["ink", "soft", "line", "paper", "track", "accent", "accent2", "accent3", "lost"];
  const width = place.clientWidth;
  return { ...Object.fromEntries(colors.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])), font: style.fontFamily, width, isNarrow: width < 420 };
}

/** Draw every picture at the size that its place has been given. */
function draw() {
  for (const one of drawn) {
    one.chart ??= echarts.init(one.place, null, { renderer: "svg" });
    one.chart.resize();
    one.chart.setOption(one.picture.option(looks(one.place)), true);
  }
  document.documentElement.dataset.drawn = String(drawn.length);
}

/** Offer the service's days; the chosen one stays where the service has it. */
function offerDays() {
  const before = at("date").value;
  const days = Object.keys(page.services[at("service").value] ?? {}).sort().reverse();
  at("date").replaceChildren(...days.map((day) => el("option", { value: day }, day)));
  at("date").value = days.includes(before) ? before : (days[0] ?? "");
}

at("service").append(...Object.keys(page.services).map((service) => el("option", { value: service }, service)));
offerDays();
at("choice").addEventListener("submit", (event) => event.preventDefault());
at("service").addEventListener("change", () => {
  offerDays();
  show();
});
at("date").addEventListener("change", show);
addEventListener("resize", () => requestAnimationFrame(draw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
show();
