// What there is to know about the machine's processor.
#pragma once

#include <string>

namespace lossc::host {

/// `x86_64`, `aarch64`, …
std::string architecture();
/// The processor as people call it.
std::string processorName();
/// The instruction sets, sorted: what decides whether a binary made with `-march=native` runs here.
std::string features();
/// Cores that this process may use: affinity and the container's quota.
int cores();

}  // namespace lossc::host
