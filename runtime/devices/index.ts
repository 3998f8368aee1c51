export type * from "./device.js";
export { openDevice } from "./open.js";
