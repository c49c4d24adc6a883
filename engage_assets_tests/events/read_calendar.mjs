// Reads a calendar file with ical.js and prints what it says, in UTC, as JSON.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.argv[2] + "/"));
const ICAL = (await import(pathToFileURL(require.resolve("ical.js")))).default;
const calendar = new ICAL.Component(ICAL.parse(readFileSync(0, "utf-8")));
for (const zone of calendar.getAllSubcomponents("vtimezone")) {
  ICAL.TimezoneService.register(new ICAL.Timezone(zone), zone.getFirstPropertyValue("tzid"));
}
const entry = new ICAL.Event(calendar.getFirstSubcomponent("vevent"));
const value = (name) => entry.component.getFirstPropertyValue(name);
console.log(JSON.stringify({
  method: calendar.getFirstPropertyValue("method"),
  uid: entry.uid,
  sequence: value("sequence"),
  status: value("status"),
  start: entry.startDate.toJSDate().toISOString(),
  end: entry.endDate.toJSDate().toISOString(),
  summary: entry.summary,
  description: entry.description,
  attendees: entry.attendees.length,
}));
