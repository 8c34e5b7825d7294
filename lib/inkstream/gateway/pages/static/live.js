// Keeps a part of the page fresh: at an event from the server, at most once a second, the part is fetched anew.
// However many answers come, the page asks for what it shows and no more.

import { tellTimes } from "./times.js";

const PAUSE_MS = 1000;

/** Gives a function that asks for a refresh; without `events` only that does. */
export function keepFresh(element, events = "/api/events") {
  const address = element.dataset.live;
  if (!address) return;
  let due = false;
  let busy = false;
  const refresh = async () => {
    if (busy || document.hidden) return void (due = true);
    busy = true;
    due = false;
    try {
      const response = await fetch(address);
      if (response.ok) put(element, await response.text());
    } catch {
      due = true; // the network is away: the next event or look tries again
    }
    setTimeout(() => {
      busy = false;
      if (due) refresh();
    }, PAUSE_MS);
  };
  document.addEventListener("visibilitychange", () => !document.hidden && due && refresh());
  if (events) {
    const source = new EventSource(events);
    source.addEventListener("message", refresh);
    source.addEventListener("answer", refresh);
    addEventListener("pagehide", () => source.close());
  }
  return refresh;
}

/** What is there already stays where it is, so that neither the focus nor a loaded picture is lost. */
function put(element, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const there = new Map([...element.querySelectorAll("a.tile")].map((tile) => [tile.getAttribute("href"), tile]));
  for (const tile of fresh.querySelectorAll("a.tile")) {
    const known = there.get(tile.getAttribute("href"));
    if (known && known.getAttribute("aria-label").split(",")[0] === tile.getAttribute("aria-label").split(",")[0]) {
      tile.replaceWith(known);
    }
  }
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  element.replaceChildren(...fresh.childNodes);
  if (focused?.isConnected) focused.focus();
  tellTimes(element);
}
