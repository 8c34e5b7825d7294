// Answers on the page: put in, read out to screen readers, corrected in one click.

import { answer, correct, Refused } from "./sending.js";
import { tellTimes } from "./times.js";

const KEPT = 12; // of one visit; the gallery has them all

/** Correction buttons inside `list` work without leaving the page. */
export function watch(list, say, alarm) {
  list.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.classList.contains("correct")) return;
    event.preventDefault();
    const shown = form.closest(".answer");
    const label = event.submitter.value;
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    try {
      await correct(shown.dataset.id, label);
      replace(shown, await corrected(shown.dataset.id, label)).querySelector(".keys button")?.focus();
      say(`Noted: it is a ${label}. Thank you.`);
    } catch (error) {
      for (const button of form.querySelectorAll("button")) button.disabled = false;
      alarm(words(error));
    }
  });
}

/** The newest answer first. */
export function show(list, html) {
  const item = document.createElement("li");
  item.append(parse(html));
  list.prepend(item);
  while (list.children.length > KEPT) list.lastElementChild.remove();
  tellTimes(item);
  return item.querySelector(".answer");
}

export function replace(shown, html) {
  const fresh = parse(html);
  shown.replaceWith(fresh);
  tellTimes(fresh);
  return fresh;
}

/** The server's own rendering, where everything that came from people is escaped. */
function parse(html) {
  return new DOMParser().parseFromString(html, "text/html").querySelector(".answer");
}

/** A correction goes through Kafka: the row may be a moment behind. */
async function corrected(id, label) {
  for (let tries = 0; ; tries++) {
    const html = await answer(id);
    if (tries > 20 || parse(html).querySelector(`.keys [aria-pressed="true"][value="${CSS.escape(label)}"]`)) return html;
    await new Promise((wake) => setTimeout(wake, 150));
  }
}

export function words(error) {
  if (!(error instanceof Refused)) return "The connection failed. Is the network there?";
  return error.retry ? `${error.message} (in ${error.retry} s)` : error.message;
}
