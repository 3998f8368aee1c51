#include "core/library.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdlib>

namespace lossc {

Library Library::open(const char* variable, const std::vector<std::string>& candidates, const Misfit& misfit) {
  const char* named = std::getenv(variable);
  const bool only = named != nullptr && *named != '\0';
  // The first reason is reported, since later candidates are only other places. A library that was refused is reported before one that is absent.
  std::string absent, unfit;
  for (const auto& candidate : only ? std::vector<std::string>{named} : candidates) {
    Library library;
    library.handle_ = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library.handle_ == nullptr) {
      const char* reason = dlerror();
      if (absent.empty()) absent = reason != nullptr ? reason : candidate + " cannot be opened";
      continue;
    }
    link_map* map = nullptr;
    const bool known = dlinfo(library.handle_, RTLD_DI_LINKMAP, &map) == 0 && map->l_name[0] != '\0';
    library.path_ = known ? map->l_name : candidate;
    const auto reason = misfit ? misfit(library) : "";
    if (reason.empty()) return library;
    if (unfit.empty()) unfit = reason;
  }
  Library none;
  none.problem_ = unfit.empty() ? absent : unfit;
  if (only) none.problem_ += " (" + std::string(variable) + "=" + named + ")";
  return none;
}

void* Library::find(const char* symbol) const { return handle_ == nullptr ? nullptr : dlsym(handle_, symbol); }

std::vector<std::string> Library::cudaCandidates(const std::vector<std::string>& sonames) {
  std::vector<std::string> folders;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    const char* home = std::getenv(variable);
    if (home != nullptr && *home != '\0') folders.push_back(std::string(home) + "/lib64/");
  }
  folders.insert(folders.end(), {"", "/usr/local/cuda/lib64/", "/usr/local/cuda/targets/x86_64-linux/lib/", "/usr/local/cuda/targets/sbsa-linux/lib/",
                                 "/opt/cuda/lib64/", "/usr/lib/x86_64-linux-gnu/", "/usr/lib/aarch64-linux-gnu/"});
  std::vector<std::string> candidates;
  for (const auto& folder : folders)
    for (const auto& soname : sonames) candidates.push_back(folder + soname);
  return candidates;
}

}  // namespace lossc
