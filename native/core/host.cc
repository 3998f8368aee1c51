#include "core/host.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace lossc::host {
namespace {

/// The value of the first line `key : value` of /proc/cpuinfo with one of these keys; empty where there is none.
std::string cpuinfo(std::initializer_list<const char*> keys) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

/// The container's quota in cores, rounded up; 0 where there is none.
int quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double allowed = 0, period = 0;
  if (!(file >> allowed >> period) || period <= 0) return 0;
  return std::max(1, static_cast<int>(std::ceil(allowed / period)));
}

}  // namespace

std::string architecture() {
  utsname name{};
  return uname(&name) == 0 ? name.machine : "unknown";
}

std::string processorName() {
  const auto name = cpuinfo({"model name", "Model", "cpu model", "Hardware"});
  return name.empty() ? architecture() : name;
}

std::string features() {
  std::istringstream words(cpuinfo({"flags", "Features", "isa"}));
  std::set<std::string> sorted;
  for (std::string word; words >> word;) sorted.insert(word);
  auto result = architecture();
  for (const auto& word : sorted) result += " " + word;
  return result;
}

int cores() {
  cpu_set_t allowed;
  int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : static_cast<int>(std::thread::hardware_concurrency());
  if (const int limit = quota(); limit > 0) count = std::min(count, limit);
  return std::max(1, count);
}

}  // namespace lossc::host
