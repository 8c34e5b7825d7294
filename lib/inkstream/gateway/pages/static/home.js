// The page's own course: a digit drawn, chosen, photographed, dropped or pasted is sent, its answer is shown.

import { show, watch, words } from "./answers.js";
import { Drawing } from "./drawing.js";
import { keepFresh } from "./live.js";
import { answer, send } from "./sending.js";
import { tellTimes } from "./times.js";

const part = (id) => document.getElementById(id);

document.documentElement.classList.add("scripts");
for (const element of document.querySelectorAll(".scripted, #sketch")) element.hidden = false;

const drawing = new Drawing(part("canvas"), (empty) => {
  part("ghost").hidden = !empty;
  for (const id of ["undo", "clear", "read"]) part(id).disabled = empty;
});
part("undo").addEventListener("click", () => drawing.undo());
part("clear").addEventListener("click", () => drawing.clear());
part("read").addEventListener("click", async () => read([await drawing.picture()]));

for (const id of ["file", "photo"]) {
  part(id).addEventListener("change", (event) => {
    read([...event.target.files]);
    event.target.value = ""; // the same file may be chosen again
  });
}
part("address").addEventListener("submit", (event) => {
  event.preventDefault();
  read([{ url: part("url").value }]);
});

addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) read(files);
});
addEventListener("dragover", (event) => {
  if (![...event.dataTransfer.types].includes("Files")) return;
  event.preventDefault();
  part("drop").hidden = false;
});
addEventListener("dragleave", (event) => event.relatedTarget === null && (part("drop").hidden = true));
addEventListener("drop", (event) => {
  part("drop").hidden = true;
  if (event.dataTransfer.files.length === 0) return;
  event.preventDefault();
  read([...event.dataTransfer.files]);
});
addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea")) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "z") drawing.undo();
  else if (event.key === "Escape") drawing.clear();
  else if (event.key === "Enter" && !event.target.matches("button, a, summary, label") && !drawing.empty) part("read").click();
});

let queue = Promise.resolve();

/** One after the other, in the order in which they were given. */
function read(pictures) {
  pictures.forEach((picture, n) => {
    const count = pictures.length > 1 ? ` (${n + 1} of ${pictures.length})` : "";
    queue = queue.then(() => readOne(picture, count));
  });
}

async function readOne(picture, count) {
  part("alert").hidden = true;
  step(`Sending${count} …`, 0);
  try {
    const sent = await send(picture, (share) => step(share < 1 ? `Sending${count} …` : `Reading${count} …`, share));
    step(`Reading${count} …`, 1);
    const html = await answer(sent.id, (seconds) => waiting(seconds, count), sent.again);
    const shown = show(part("answers"), html);
    part("empty").hidden = true;
    say(shown.dataset.said);
    if (matchMedia("(max-width: 51.99rem)").matches) shown.scrollIntoView({ block: "start" });
  } catch (error) {
    alarm(words(error));
  }
  part("progress").hidden = true;
}

function waiting(seconds, count) {
  if (seconds > 2) step(`Reading${count} … ${seconds} s; the picture is safe`, 1);
}

function step(text, share) {
  part("progress").hidden = false;
  part("step").textContent = text;
  if (share < 1) part("bar").value = Math.round(share * 100);
  else part("bar").removeAttribute("value"); // sent; how long the answer takes is not known
}

function say(text) {
  part("said").textContent = text;
}

function alarm(text) {
  part("alert").textContent = text;
  part("alert").hidden = false;
  part("alert").scrollIntoView({ block: "nearest" });
}

watch(part("answers"), say, alarm);
if (part("latest")) keepFresh(part("latest"));
tellTimes();
