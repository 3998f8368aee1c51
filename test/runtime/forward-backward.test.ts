import { deviceSuite } from "./suite.js";
import { eachDevice } from "./support.js";

eachDevice(deviceSuite);
