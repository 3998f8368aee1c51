// Numbers that the compiler has, too. Generated from codegen/emit/constants.ts.
#pragma once

namespace lossc {

[[maybe_unused]] constexpr int kChunk = 1024;       // elements in a leaf of a fold over tokens, sequences or groups
[[maybe_unused]] constexpr int kWarp = 32;          // lanes of a warp
[[maybe_unused]] constexpr int kPacketBytes = 16;   // a lane's widest access to memory
[[maybe_unused]] constexpr int kLinePackets = 8;    // packets of a line of the cache
[[maybe_unused]] constexpr int kExchanges = 2;      // places in which the parts of a row exchange values, by turns
[[maybe_unused]] constexpr int kMostLanes = 16;     // lanes of the widest packet that a processor has
[[maybe_unused]] constexpr int kIndexFault = 0;     // word of the status buffer, see STATUS of the plan
[[maybe_unused]] constexpr int kTokenFault = 1;     // word of the status buffer, see STATUS of the plan
[[maybe_unused]] constexpr int kSequenceFault = 2;  // word of the status buffer, see STATUS of the plan
[[maybe_unused]] constexpr int kGroupFault = 3;     // word of the status buffer, see STATUS of the plan
[[maybe_unused]] constexpr int kHeadFault = 4;      // word of the status buffer, see STATUS of the plan

}  // namespace lossc
