import { expect, test } from "vitest";
import { FIELD_BYTES, MEMORY_ALIGNMENT, NATIVE_CODES } from "../../runtime/addon/constants.js";
import { addon, failure } from "./support.js";

/** The text of native/core/constants.h. */
function headerText(): string {
  const codes = Object.entries(NATIVE_CODES);
  return `// Generated from runtime/addon/constants.ts by \`npm run docs\`; do not edit.
#pragma once

#include <cstddef>

namespace lossc {

/// Device memory starts at a multiple of so many bytes.
constexpr std::size_t memoryAlignment = ${MEMORY_ALIGNMENT};

/// Bytes of a field of a kernel's argument struct.
constexpr std::size_t fieldBytes = ${FIELD_BYTES};

/// Codes of the addon's errors.
enum class Code {
${codes.map(([name]) => `  ${name},`).join("\n")}
};

/// The code of LosscError for each Code.
constexpr const char* codeNames[] = {
${codes.map(([, code]) => `    "${code}",`).join("\n")}
};

}  // namespace lossc
`;
}

test("native/core/constants.h is stale", async () => {
  await expect(headerText()).toMatchFileSnapshot("../../native/core/constants.h");
});

test("the addon was built from another list of codes", async () => {
  const device = addon.openCpu({ threads: 1 });
  await device.dispose();
  expect(await failure(() => device.allocate(1))).toMatchObject({ code: NATIVE_CODES.disposed });
  expect(await failure(() => addon.openCpu({ threads: -1 }))).toMatchObject({ code: NATIVE_CODES.range, name: "RangeError" });
  expect(await failure(() => addon.openCpu({} as never))).toMatchObject({ code: NATIVE_CODES.usage, name: "TypeError" });
});
