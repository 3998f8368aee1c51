// Shared by the fakes: the journal that tests read (one JSON object a line, in the file $LOSSC_FAKE_LOG) and failures on demand
// ($LOSSC_FAKE_FAIL="cuMemAlloc_v2:2:1": the first call since the variable was set fails with result 2; several separated by commas).
#pragma once

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

namespace fake {

inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Fields are JSON already: `"grid":3`.
inline void journal(const std::string& call, const std::string& fields = "") {
  const auto path = environment("LOSSC_FAKE_LOG");
  if (path.empty()) return;
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (file == nullptr) return;
  std::fprintf(file, "{\"call\":\"%s\"%s%s}\n", call.c_str(), fields.empty() ? "" : ",", fields.c_str());
  std::fclose(file);
}

inline std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

/// The self-description of the fake library that holds `address`: the first line of the file beside it, `libnvrtc.so.12.about` of `libnvrtc.so.12`.
inline std::string about(const void* address, const std::string& otherwise) {
  Dl_info info;
  std::string line;
  if (dladdr(address, &info) == 0 || !std::getline(std::ifstream(std::string(info.dli_fname) + ".about"), line)) return otherwise;
  return line;
}

/// The result that the test wants of this call, 0 for none.
inline int injected(const std::string& call) {
  static std::mutex mutex;
  static std::string seen;
  static std::map<std::string, int> calls;
  const std::lock_guard lock(mutex);
  const auto wanted = environment("LOSSC_FAKE_FAIL");
  if (wanted != seen) {
    seen = wanted;
    calls.clear();
  }
  if (wanted.empty()) return 0;
  const int count = ++calls[call];
  std::istringstream entries(wanted);
  for (std::string entry; std::getline(entries, entry, ',');) {
    std::istringstream parts(entry);
    std::string name, result, nth;
    std::getline(parts, name, ':');
    std::getline(parts, result, ':');
    std::getline(parts, nth, ':');
    if (name == call && std::atoi(nth.c_str()) == count) return std::atoi(result.c_str());
  }
  return 0;
}

}  // namespace fake
