// A picture's own page: waits for an answer that is not there yet, and takes corrections.

import { replace, watch, words } from "./answers.js";
import { answer } from "./sending.js";
import { tellTimes } from "./times.js";

const part = (id) => document.getElementById(id);
const say = (text) => (part("said").textContent = text);
const alarm = (text) => {
  part("alert").textContent = text;
  part("alert").hidden = false;
};

watch(part("answers"), say, alarm);
tellTimes();

const waiting = document.querySelector(".answer.waiting");
if (waiting) {
  try {
    say(replace(waiting, await answer(waiting.dataset.id)).dataset.said);
  } catch (error) {
    alarm(words(error));
  }
}
