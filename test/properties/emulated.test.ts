import { randomLosses } from "./random.js";

randomLosses("emulated");
