// <time> elements as a person says it, "2 minutes ago", kept fresh; the full time is in the title.

const STEPS = [
  [60, "second", 1],
  [3600, "minute", 60],
  [86_400, "hour", 3600],
  [Infinity, "day", 86_400],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function tellTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    const seconds = Math.max(0, (Date.now() - moment) / 1000);
    const [, unit, size] = STEPS.find(([limit]) => seconds < limit);
    element.textContent = seconds < 5 ? "just now" : relative.format(-Math.floor(seconds / size), unit);
    element.title = absolute.format(moment);
  }
}

setInterval(tellTimes, 10_000, document);
