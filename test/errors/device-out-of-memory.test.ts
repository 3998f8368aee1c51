import { mistakes } from "./support.js";

mistakes("DEVICE_OUT_OF_MEMORY", [
  {
    name: "a buffer that no machine holds",
    call: ({ device }) => device.buffer({ dtype: "f32", length: 2 ** 50 }),
    says: ["fewer tokens"],
  },
]);
