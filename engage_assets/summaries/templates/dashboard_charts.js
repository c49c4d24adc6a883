// A table's pictures: what each shows in words, its legend, its height, and its ECharts option at a width.

const SHOWN = 15;
const shortDay = (day) => day.slice(5);

const pen = document.createElement("canvas").getContext("2d");

/** A text that is no wider than `width`; names of dots and slashes keep their ends, by which they differ. */
function cut(text, width, look) {
  pen.font = `12px ${look.font}`;
  const letters = [...text];
  const keepsEnd = /^\S+[./]\S+$/.test(text);
  const written = () => (keepsEnd ? `…${letters.join("")}` : `${letters.join("")}…`);
  if (pen.measureText(text).width <= width) return text;
  while (letters.length > 1 && pen.measureText(written()).width > width) keepsEnd ? letters.shift() : letters.pop();
  return written();
}

/** A tooltip of text nodes: names come from logs. */
function tip(heading, lines) {
  const box = document.createElement("div");
  box.className = "tip";
  box.append(Object.assign(document.createElement("strong"), { textContent: heading }));
  for (const line of lines) box.append(Object.assign(document.createElement("div"), { textContent: line }));
  return box;
}

function base(look) {
  return {
    animation: false,
    textStyle: { fontFamily: look.font, color: look.ink },
    tooltip: {
      confine: true,
      backgroundColor: look.paper,
      borderColor: look.line,
      textStyle: { color: look.ink, fontFamily: look.font, fontSize: 13 },
    },
    grid: { left: 4, right: 16, top: 8, bottom: 4, outerBoundsMode: "same" },
  };
}

const amounts = (look, kind, more) => ({
  type: "value",
  minInterval: kind === "count" ? 1 : 0,
  axisLabel: { color: look.soft, fontSize: 12, hideOverlap: true, formatter: (value) => compact(value) + (UNITS[kind] ?? "") },
  splitLine: { lineStyle: { color: look.line } },
  splitNumber: look.isNarrow ? 3 : 5,
  ...more,
});

const names = (look, more) => ({
  type: "category",
  axisLine: { lineStyle: { color: look.line } },
  axisTick: { show: false },
  ...more,
  axisLabel: { color: look.soft, fontSize: 12, hideOverlap: true, ...more.axisLabel },
});

/** Bars lying on each other's ground: one per row, the first series behind the others where `overlaid`. */
function bars(labels, series, { heading = "", overlaid = false, says }) {
  const texts = labels.map((label) => label ?? "–");
  const step = overlaid || series.length === 1 ? 26 : 16 * series.length + 8;
  return {
    says,
    heading,
    legend: series.length > 1 ? series.map(({ color, label }) => [color, label]) : [],
    height: step * texts.length + 36,
    option: (look) => ({
      ...base(look),
      tooltip: {
        ...base(look).tooltip,
        trigger: "axis",
        axisPointer: { type: "shadow" },
        formatter: ([{ dataIndex }]) =>
          tip(texts[dataIndex], series.map(({ label, kind, values }) => `${label}: ${inWords(kind, values[dataIndex])}`)),
      },
      xAxis: amounts(look, series[0].kind, {}),
      yAxis: names(look, {
        inverse: true,
        data: texts.map((_, at) => String(at)),
        axisLabel: {
          interval: 0,
          hideOverlap: false,
          color: look.ink,
          formatter: (at) => cut(texts[at], look.isNarrow ? 120 : 180, look),
        },
      }),
      series: series.map(({ label, color, values }, at) => ({
        type: "bar",
        name: label,
        barGap: overlaid ? "-100%" : "10%",
        barCategoryGap: "28%",
        barMaxWidth: 18,
        z: at + 2,
        itemStyle: { color: look[color], borderRadius: 2 },
        data: values.map((value) => (value === null ? null : Number(value))),
      })),
    }),
  };
}

/** Lines, or bars that stand, along days or hours. */
function along(at, series, { form = "line", heading = "", height = 190, says }) {
  return {
    says,
    heading,
    legend: series.length > 1 ? series.map(({ color, label }) => [color, label]) : [],
    height,
    option: (look) => ({
      ...base(look),
      tooltip: {
        ...base(look).tooltip,
        trigger: "axis",
        axisPointer: { type: form === "bar" ? "shadow" : "line" },
        formatter: ([{ dataIndex }]) =>
          tip(String(at[dataIndex]), series.map(({ label, kind, values }) => `${label}: ${inWords(kind, values[dataIndex])}`)),
      },
      xAxis: names(look, { data: at.map(String), boundaryGap: form === "bar", axisLabel: { formatter: shortened } }),
      yAxis: amounts(look, series[0].kind, { min: 0, ...upTo100(series, look) }),
      series: series.map(({ label, color, values, opacities }) => ({
        type: form,
        name: label,
        showSymbol: values.filter((value) => value !== null).length < 3,
        symbolSize: 6,
        barMaxWidth: 40,
        lineStyle: { width: 2, color: look[color] },
        itemStyle: { color: look[color], borderRadius: form === "bar" ? [2, 2, 0, 0] : 0 },
        data: values.map((value, n) => ({
          value: value === null ? null : Number(value),
          itemStyle: opacities && { opacity: opacities[n] },
        })),
      })),
    }),
  };
}

/** Shares that come near it are drawn up to 100 %. */
function upTo100(series, look) {
  const highest = Math.max(...series.flatMap(({ values }) => values));
  return series[0].kind === "percent" && highest > 80 && highest <= 100 ? { max: 100, interval: look.isNarrow ? 50 : 25 } : {};
}

const shortened = (label) => (/^\d{4}-\d\d-\d\d$/.test(label) ? shortDay(label) : label);

/** Columns of a frame as series of a picture. */
const series = (frame, ...columns) =>
  columns.map(([name, color]) => {
    const { label, kind, values } = frame.column(name);
    return { label, kind, color, values };
  });

const isKnown = (frame, name) => frame.values(name).some((value) => value !== null);

/** A word or two on the highest of a series, for those who do not see the picture. */
function highest(labels, { kind, values }) {
  const numbers = values.map((value) => (value === null ? -Infinity : Number(value)));
  const at = numbers.indexOf(Math.max(...numbers));
  return at < 0 || values[at] === null ? "Nothing is measured." : `Highest: ${labels[at]}, ${inWords(kind, values[at])}.`;
}

/** The first rows of a ranking. */
function ranking(frame, columns, { overlaid = false, heading = "" } = {}) {
  const { table } = frame;
  const keys = frame.values(table.key[0]);
  const words = table.key[0] === "table_name" ? keys.map(titleOf) : (frame.column("productName")?.values ?? keys);
  const labels = words.slice(0, SHOWN).map((word, at) => word ?? keys[at]);
  const own = series(frame, ...columns).map((one) => ({ ...one, values: one.values.slice(0, SHOWN) }));
  const first = frame.height > SHOWN ? `the first ${SHOWN} of ${frame.height}` : "";
  const what = own.map(({ label }) => label).join(", ");
  return bars(labels, own, {
    heading: (heading || what) + (first && `: ${first}`),
    overlaid,
    says: `Bars of ${what.toLowerCase()}${first && `, ${first}`}. ${highest(labels, own[0])}`,
  });
}

/** One picture over the days of a table. */
function daily(frame, columns, more = {}) {
  const own = series(frame, ...columns);
  const days = frame.values(frame.table.key[0]);
  const what = own.map(({ label }) => label).join(", ");
  return along(days, own, {
    heading: what,
    says: `${more.form === "bar" ? "Bars" : "Lines"} by day: ${what.toLowerCase()}. ${highest(days, own[0])}`,
    ...more,
  });
}

function flows(frame) {
  const [from, to, times] = ["from_path", "to_path", "transition_count"].map((name) => frame.values(name).slice(0, SHOWN));
  const ends = [...new Set(from.map((path) => `< ${path}`)), ...new Set(to.map((path) => `> ${path}`))];
  const most = Math.max(new Set(from).size, new Set(to).size);
  const words = (name) => name.slice(2);
  return {
    says: `Flows from page to page, the first ${from.length}. ${highest(from.map((path, at) => `${path} to ${to[at]}`), { kind: "count", values: times })}`,
    heading: frame.height > SHOWN ? `Transitions: the first ${SHOWN} of ${frame.height}` : "Transitions",
    legend: [],
    sides: ["Page left", "Page entered"],
    height: Math.max(160, most * 34 + 24),
    option: (look) => ({
      ...base(look),
      tooltip: {
        ...base(look).tooltip,
        formatter: ({ dataType, data, name, value }) =>
          dataType === "edge"
            ? tip(`${words(data.source)} → ${words(data.target)}`, [`${inWords("count", value)} times`])
            : tip(words(name), [`${inWords("count", value)} of the transitions shown`]),
      },
      series: [
        {
          type: "sankey",
          left: 4,
          right: 4,
          top: 12,
          bottom: 12,
          nodeWidth: 8,
          nodeGap: 20,
          layoutIterations: 0,
          draggable: false,
          emphasis: { focus: "adjacency" },
          lineStyle: { color: look.accent2, opacity: 0.35 },
          label: { color: look.ink, fontSize: 12, textBorderColor: look.paper, textBorderWidth: 3, formatter: ({ name }) => cut(words(name), look.width / 2 - 32, look) },
          data: ends.map((name) => ({
            name,
            depth: name.startsWith("<") ? 0 : 1,
            itemStyle: { color: look.accent, borderWidth: 0 },
            label: { position: name.startsWith("<") ? "right" : "left" },
          })),
          links: times.map((value, at) => ({ source: `< ${from[at]}`, target: `> ${to[at]}`, value })),
        },
      ],
    }),
  };
}

/** Rates by cohort and days later, one picture per basis: the youngest cohorts' later days have not come. */
function triangles(frame) {
  const [cohort, offset, basis, rate, users] = ["cohort_date", "day_offset", "basis", "retention_rate", "base_users"].map((name) =>
    frame.values(name),
  );
  const offsets = [...new Set(offset)].sort((a, b) => a - b);
  return [...new Set(basis)].map((one) => {
    const rows = cohort.map((_, at) => at).filter((at) => basis[at] === one && rate[at] !== null);
    const days = [...new Set(rows.map((at) => cohort[at]))].sort();
    const most = Math.max(0, ...rows.map((at) => rate[at]));
    return {
      says: `Heat map of the retention rate of ${one} users by cohort and days later. ${highest(cohort.map((day, at) => `${day}, ${offset[at]} days later`), { kind: "percent", values: rate.map((value, at) => (basis[at] === one ? value : null)) })}`,
      heading: one === "new" ? "Retention of users seen for the first time" : "Retention of all active users",
      legend: [],
      scale: most,
      height: 44 * offsets.length + 40,
      option: (look) => ({
        ...base(look),
        tooltip: {
          ...base(look).tooltip,
          formatter: ({ data }) => {
            const at = data.value[3];
            return tip(`${cohort[at]}, ${offset[at]} days later`, [
              `Retained: ${inWords("percent", rate[at])} of ${inWords("count", users[at])} users`,
            ]);
          },
        },
        xAxis: names(look, { data: days, axisLabel: { formatter: shortened } }),
        yAxis: names(look, { data: offsets.map((days) => `D+${days}`), inverse: true, axisLabel: { interval: 0 } }),
        visualMap: { show: false, min: 0, max: most || 1, dimension: 2, inRange: { color: [look.track, look.accent] } },
        series: [
          {
            type: "heatmap",
            data: rows.map((at) => ({ value: [cohort[at], `D+${offset[at]}`, rate[at], at] })),
            itemStyle: { borderColor: look.paper, borderWidth: days.length > 45 || look.isNarrow ? 0 : 1 },
          },
        ],
      }),
    };
  });
}

function steps(frame) {
  const days = frame.values("date");
  const at = days.length - 1;
  const columns = ["total_sessions", "product_view_sessions", "cart_add_sessions", "purchase_sessions"];
  const values = columns.map((name) => frame.values(name)[at]);
  const labels = ["All sessions", "With a product view", "With a cart add", "With a purchase"];
  const words = labels.map((label, n) => `${label.toLowerCase()} ${inWords("count", values[n])}`).join(", ");
  return [
    bars(labels, [{ label: "Sessions", kind: "count", color: "accent", values }], {
      heading: `Sessions that start on ${days[at]}`,
      says: `Bars of sessions that start on ${days[at]}: ${words}.`,
    }),
    daily(frame, [["view_rate", "accent3"], ["view_to_cart_rate", "accent"], ["cart_to_purchase_rate", "lost"]], { heading: "Rates from step to step" }),
  ];
}

function months(frame) {
  const months = frame.values("month").map((month) => month.slice(0, 7));
  const isComplete = frame.values("is_complete");
  const users = series(frame, ["monthly_active_users", "accent"])[0];
  const picture = along(months, [{ ...users, opacities: isComplete.map((whole) => (whole ? 1 : 0.45)) }], {
    form: "bar",
    heading: users.label,
    says: `Bars by month: ${users.label.toLowerCase()}. ${highest(months, users)}`,
  });
  return [{ ...picture, legend: [["accent", "Complete month"], ["accent faint", "Not covered wholly"]] }];
}

/** Pictures of a table by name; a table without an entry is drawn as a ranking. */
const PICTURES = {
  search_analytics: (frame) => [ranking(frame, [["search_sessions", "accent3"], ["clicked_sessions", "accent"]], { overlaid: true, heading: "Sessions that search a term, and those that click a result of it" })],
  hourly_traffic: (frame) => [
    along(frame.values("hour"), series(frame, ["sessions", "accent"]), {
      form: "bar",
      heading: "Sessions by the hour in which they start",
      says: `Bars by hour: sessions. ${highest(frame.values("hour").map((hour) => `${hour} h`), frame.column("sessions"))}`,
    }),
    along(frame.values("hour"), series(frame, ["cart_conversion_rate", "lost"]), {
      heading: "Cart conversion rate",
      height: 150,
      says: `Line by hour: cart conversion rate. ${highest(frame.values("hour").map((hour) => `${hour} h`), frame.column("cart_conversion_rate"))}`,
    }),
  ],
  purchase_analytics: (frame) => [
    daily(frame, [["total_purchases", "accent"]], { form: "bar" }),
    ...(isKnown(frame, "total_revenue") ? [daily(frame, [["total_revenue", "lost"]])] : []),
  ],
  navigation_flow: (frame) => [flows(frame)],
  period_totals: (frame) => [
    ranking(frame, [["total_events", "accent"], ["unique_users", "accent3"], ["unique_sessions", "lost"]], { heading: "Events, users and sessions" }),
  ],
  mau: months,
  dau: (frame) => [
    daily(frame, [["daily_active_users", "accent"], ["rolling_mau_30d", "lost"]], { heading: "Active users of the day, and of 30 days" }),
    daily(frame, [["stickiness", "accent"]], { height: 150 }),
  ],
  retention: triangles,
  conversion: steps,
  user_cohort: (frame) => [ranking(frame, [["user_count", "accent3"], ["active_last_7d", "accent"]], { overlaid: true, heading: "Users, and those active in the last 7 days" })],
  session_metrics: (frame) => [
    daily(frame, [["avg_events_per_session", "accent"], ["median_events_per_session", "accent3"], ["p90_events_per_session", "lost"]], { heading: "Events per session" }),
    daily(frame, [["bounce_rate", "accent"]], { height: 150 }),
  ],
};

const picturesOf = (frame) => (PICTURES[frame.table.name] ?? ((one) => [ranking(one, [[one.table.firstCount, "accent"]])]))(frame);
