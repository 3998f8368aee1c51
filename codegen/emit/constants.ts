/**
 * Numbers that kernels share with the plans and the geometry that they are made from. The preludes' `common/constants.h` is generated from here, and
 * a test holds it to that: `npm run docs` writes it anew.
 */
import { CHUNK, STATUS } from "../schedule/plan.js";

/** Lanes of a warp. */
export const WARP = 32;
/** Bytes of a packet, a lane's widest access. */
export const PACKET_BYTES = 16;
/** Packets of a line of the cache. A part of a row begins with one: of a line that two parts shared, both would move what the other needs. */
export const LINE_PACKETS = 8;
/** Places in which the parts of a row exchange values, by turns. */
export const EXCHANGES = 2;
/** Lanes of the widest packet that a processor has. */
export const MOST_LANES = 16;

const NUMBERS: readonly (readonly [name: string, value: number, comment: string])[] = [
  ["kChunk", CHUNK, "elements in a leaf of a fold over tokens, sequences or groups"],
  ["kWarp", WARP, "lanes of a warp"],
  ["kPacketBytes", PACKET_BYTES, "a lane's widest access to memory"],
  ["kLinePackets", LINE_PACKETS, "packets of a line of the cache"],
  ["kExchanges", EXCHANGES, "places in which the parts of a row exchange values, by turns"],
  ["kMostLanes", MOST_LANES, "lanes of the widest packet that a processor has"],
  ...Object.entries(STATUS).map(
    ([fault, word]) =>
      [`k${fault[0]?.toUpperCase()}${fault.slice(1)}Fault`, word, `word of the status buffer, see STATUS of the plan`] as const,
  ),
];

/** The text of `common/constants.h`. */
export function constantsHeader(): string {
  const declarations = NUMBERS.map(([name, value]) => `[[maybe_unused]] constexpr int ${name} = ${value};`);
  const width = Math.max(...declarations.map(({ length }) => length));
  return `// Numbers that the compiler has, too. Generated from codegen/emit/constants.ts.
#pragma once

namespace lossc {

${declarations.map((declaration, i) => `${declaration.padEnd(width)}  // ${NUMBERS[i]?.[2]}`).join("\n")}

}  // namespace lossc
`;
}
