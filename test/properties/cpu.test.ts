import { randomLosses } from "./random.js";

randomLosses("cpu");
