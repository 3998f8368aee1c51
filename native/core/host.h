// The processor of the machine.
#pragma once

#include <string>

namespace lossc::host {

/// `x86_64`, `aarch64`, …
std::string architecture();
/// The name of the processor, for people.
std::string processorName();
/// The architecture and instruction sets, sorted. They decide whether a binary compiled with `-march=native` runs here.
std::string features();
/// Cores that this process may use: affinity and the container's quota.
int cores();

}  // namespace lossc::host
