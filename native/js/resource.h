// JavaScript's handles on what lies on a device.
#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>

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
  /// The device has been disposed of: nothing may be added.
  bool disposed = false;
  /// Handles that have not been released, by the pointer that Node-API keeps for the object: found here, a pointer is of the right kind, of this
  /// device and alive, which is checked faster than any tag of the object.
  std::unordered_map<const void*, Resource*> resources;
};

/// What Node-API keeps for the object; null where that is nothing. Not to be used before it is known whose it is.
inline void* wrapped(const Napi::Value& value) {
  void* pointer = nullptr;
  return napi_unwrap(value.Env(), value, &pointer) == napi_ok ? pointer : nullptr;
}

}  // namespace lossc
