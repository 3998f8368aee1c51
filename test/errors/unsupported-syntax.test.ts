import { expect } from "vitest";
import { defineLoss } from "../../dsl/index.js";
import { mistakes } from "./support.js";

mistakes("UNSUPPORTED_SYNTAX", [
  {
    name: "a loss that throws while it is traced",
    call: ({ device }) =>
      device.compile(
        defineLoss({
          name: "throws",
          loss: () => {
            throw new TypeError("of its own");
          },
        }),
      ),
    says: ['"throws"', "of its own"],
    also: (error) => expect(error.cause).toBeInstanceOf(Error),
  },
  {
    name: "a loss that gives back nothing",
    call: ({ device }) => device.compile(defineLoss({ name: "empty", loss: () => undefined as unknown as number })),
    says: ['"empty"'],
  },
]);
