// The tasks of a device's thread.
#pragma once

#include "core/backend.h"
#include "js/handle.h"

namespace lossc {

class RunTask : public Task {
 public:
  /// `self` and `views` are kept alive until the promise settles.
  RunTask(const Napi::Object& self, std::shared_ptr<Backend> backend, Program program, const Napi::Array& views, const std::int32_t* abort,
          const Napi::Value& abortView);

 protected:
  void execute(const std::atomic<bool>& stopping) override;

 private:
  std::shared_ptr<Backend> backend_;
  Program program_;
  const std::int32_t* abort_;
  Napi::ObjectReference self_;
  Napi::ObjectReference views_;
  Napi::ObjectReference abortView_;
};

class LoadTask : public Task {
 public:
  LoadTask(const Napi::Object& self, std::shared_ptr<Backend> backend, std::shared_ptr<Belongings> belongings, Binary binary);
  ~LoadTask() override;

 protected:
  void execute(const std::atomic<bool>& stopping) override;
  Napi::Value result(Napi::Env env) override;

 private:
  std::shared_ptr<Backend> backend_;
  std::shared_ptr<Belongings> belongings_;
  Binary binary_;
  std::shared_ptr<Module> module_;
  Napi::ObjectReference self_;
};

/// Closes the device after all tasks before it.
class CloseTask : public Task {
 public:
  CloseTask(const Napi::Object& self, std::shared_ptr<Backend> backend);

 protected:
  void execute(const std::atomic<bool>& stopping) override;

 private:
  std::shared_ptr<Backend> backend_;
  Napi::ObjectReference self_;
};

}  // namespace lossc
