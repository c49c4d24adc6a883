// The figures of the page, and how they are written.

const page = JSON.parse(document.getElementById("data").textContent);

const tableOf = (name) => page.tables.find((table) => table.name === name);
const titleOf = (name) => tableOf(name)?.title ?? name;

/** Thousands separators in the text of a number; its decimals stay as they are. */
function grouped(text) {
  const [whole, part] = text.split(".");
  const spaced = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return part === undefined ? spaced : `${spaced}.${part}`;
}

const isWhole = (value) => value === null || value.endsWith(".00");

const WRITERS = {
  text: (value) => value,
  date: (value) => value,
  number: (value) => String(value),
  count: (value) => grouped(String(value)),
  average: (value) => grouped(value.toFixed(2)),
  percent: (value) => value.toFixed(2),
  money: (value) => grouped(value),
  flag: (value) => (value ? "yes" : "no"),
  counts: (pairs) => pairs.map(([name, count]) => `${name} ${grouped(String(count))}`).join(", "),
};

const UNITS = { percent: " %" };

/** A value as words, with its unit. */
const inWords = (kind, value) => (value === null ? "not measured" : WRITERS[kind](value) + (UNITS[kind] ?? ""));

/** Ticks of an axis: 1,200; 15k; 2.5M. */
function compact(value) {
  for (const [unit, name] of [[1e9, "bn"], [1e6, "M"], [1e4, "k"]]) {
    if (Math.abs(value) >= unit) return `${+(value / (name === "k" ? 1e3 : unit)).toFixed(1)}${name}`;
  }
  return grouped(String(+value.toFixed(2)));
}

/** A table's rows of a service and day, by column. */
class Frame {
  constructor(table, rows) {
    this.table = table;
    this.windowStart = rows.windowStart;
    this.windowDays = rows.windowDays;
    this.columns = table.columns.map((column, at) => ({ ...column, values: rows.columns[at] }));
    this.height = this.columns[0].values.length;
  }

  column(name) {
    return this.columns.find((column) => column.name === name);
  }

  values(name) {
    return this.column(name).values;
  }

  numbers(name) {
    return this.values(name).map((value) => (value === null ? null : Number(value)));
  }

  /** The row whose columns have these values, as an object; null where there is none. */
  row(wanted) {
    const at = this.values(Object.keys(wanted)[0]).indexOf(Object.values(wanted)[0]);
    return at < 0 ? null : Object.fromEntries(this.columns.map((column) => [column.name, column.values[at]]));
  }

  /** Whether a cell is null for want of a logged value, and not for want of anything to measure. */
  isUnmeasured(column, at) {
    if (!(column.name in this.table.needs)) return false;
    const bought = column.name === "avg_order_value" || column.kind === "counts";
    if (bought && this.values("total_purchases")[at] === 0) return false;
    return column.values[at] === null || (column.kind === "counts" && !column.values[at].length);
  }
}
