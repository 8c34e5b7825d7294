// The gallery: filters act at once, new answers come by themselves.

import { keepFresh } from "./live.js";
import { tellTimes } from "./times.js";

document.documentElement.classList.add("scripts");
const filters = document.getElementById("filters");
filters?.addEventListener("change", () => filters.requestSubmit());
const tiles = document.getElementById("tiles");
keepFresh(tiles, tiles.dataset.events);
tellTimes();
