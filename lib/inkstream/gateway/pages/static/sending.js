// Pictures to the API, and what it says about them. fetch() tells nothing of an upload's progress, so XMLHttpRequest.

const WAIT_S = 10; // how long the API may hold the answer back before it says 202
const GIVE_UP_MS = 120_000;

/** A refusal in words for people; `retry` in seconds, where the server says when to come again. */
export class Refused extends Error {
  constructor(message, retry = null) {
    super(message);
    this.retry = retry;
  }
}

/** Send one file, or an address ({url}); told(share) hears of the upload, 0..1. Gives the answer, or {id} so far. */
export function send(file, told = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/images?wait=${WAIT_S}&same_bytes=true`);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => event.lengthComputable && told(event.loaded / event.total));
    request.addEventListener("error", () => reject(new Refused("The connection failed. Is the network there?")));
    request.addEventListener("load", () => {
      const content = request.response;
      if (request.status < 300 && content) resolve(Array.isArray(content.images) ? content.images[0] : content);
      else reject(new Refused(sentence(request.status, content), Number(request.getResponseHeader("Retry-After")) || null));
    });
    if (file instanceof File) {
      const form = new FormData();
      form.append("file", file, file.name || "picture");
      request.send(form);
    } else {
      request.setRequestHeader("Content-Type", "application/json");
      request.send(JSON.stringify(file));
    }
  });
}

const WORDS = {
  401: "This page needs a token or a class link before it takes pictures.",
  403: "You may not send pictures here.",
  413: "The file is too large.",
  415: "This is no picture of a kind that is read: PNG, JPEG, WebP, GIF, BMP, TIFF, HEIC, AVIF.",
  429: "That was a lot at once. Wait a moment, then send it again.",
  503: "InkStream cannot take pictures right now: its Kafka does not answer. Nothing was sent; try again soon.",
};

function sentence(status, content) {
  const said = content?.detail ?? content?.error;
  return typeof said === "string" ? said : (WORDS[status] ?? `The server said ${status}. Try again.`);
}

/** The answer of a picture as HTML, once it is there; told(seconds) is called while it is not. */
export async function answer(id, told = () => {}, again = false) {
  const started = Date.now();
  for (;;) {
    const response = await fetch(`/images/${encodeURIComponent(id)}?part=answer${again ? "&again=true" : ""}`);
    if (response.ok && response.headers.get("X-Outcome") !== "waiting") return response.text();
    if (!response.ok && response.status !== 404) throw new Refused(sentence(response.status));
    if (Date.now() - started > GIVE_UP_MS) {
      throw new Refused("The picture is safe, but no answer came for two minutes. It will appear in the gallery.");
    }
    told(Math.round((Date.now() - started) / 1000));
    await new Promise((wake) => setTimeout(wake, 400));
  }
}

/** Say what a picture shows. */
export async function correct(id, label) {
  const response = await fetch(`/api/images/${encodeURIComponent(id)}/correction`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({ label }),
  });
  if (!response.ok) throw new Refused(sentence(response.status, await response.json().catch(() => null)));
}
