// JavaScript's handles on what lies on a device.
#pragma once

#include <napi.h>

#include <memory>
#include <set>

#include "core/program.h"
#include "js/worker.h"

namespace lossc {

/// Something of a device that is disposed of by hand, with the device, or by the finalizer.
class Resource {
 public:
  virtual ~Resource() = default;
  virtual void release() = 0;
};

/// What the handles of one device have in common. JavaScript thread only.
struct Belongings {
  explicit Belongings(std::shared_ptr<Worker> worker) : worker(std::move(worker)) {}

  const std::shared_ptr<Worker> worker;
  std::set<Resource*> resources;
};

}  // namespace lossc
