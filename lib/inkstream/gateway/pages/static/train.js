// The trainings' page follows the one that runs; its form stays as it is meanwhile.

import { keepFresh } from "./live.js";

const FOLLOW_MS = 2_000;
const refresh = keepFresh(document.getElementById("trainings"), null);
setInterval(() => document.querySelector("[data-running]") && refresh(), FOLLOW_MS);
