import { randomLosses } from "./random.js";

randomLosses("cuda:0");
