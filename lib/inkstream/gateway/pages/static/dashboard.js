// The dashboard follows the answers, and the clock when none come.

import { keepFresh } from "./live.js";

const numbers = document.getElementById("numbers");
const refresh = keepFresh(numbers);
setInterval(refresh, 20_000);
