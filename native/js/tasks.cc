#include "js/tasks.h"

#include "js/module.h"

namespace lossc {

RunTask::RunTask(const Napi::Object& self, std::shared_ptr<Backend> backend, Program program, const Napi::Array& views, const std::int32_t* abort,
                 const Napi::Value& abortView)
    : Task(self.Env()), backend_(std::move(backend)), program_(std::move(program)), abort_(abort), self_(Napi::Persistent(self)) {
  if (!views.IsEmpty()) views_ = Napi::Persistent(views.As<Napi::Object>());
  if (abort != nullptr) abortView_ = Napi::Persistent(abortView.As<Napi::Object>());
}

void RunTask::execute(const std::atomic<bool>& stopping) {
  // Buffers and modules are released on this thread: freeing may take long, and must precede the end of the device.
  Program program = std::move(program_);
  const Interrupt interrupt(abort_, &stopping);
  interrupt.check();
  backend_->run(program, interrupt);
}

LoadTask::LoadTask(const Napi::Object& self, std::shared_ptr<Backend> backend, std::shared_ptr<Belongings> belongings, Binary binary)
    : Task(self.Env()), backend_(std::move(backend)), belongings_(std::move(belongings)), binary_(std::move(binary)), self_(Napi::Persistent(self)) {}

LoadTask::~LoadTask() {
  // A module is left where the environment ended, or the device was disposed of meanwhile.
  belongings_->worker->discard(std::move(module_));
}

void LoadTask::execute(const std::atomic<bool>&) { module_ = backend_->load(binary_); }

Napi::Value LoadTask::result(Napi::Env env) {
  // Disposal released all handles. A handle made after it would hold a module of a closed device.
  if (belongings_->disposed) throw Fault(Code::disposed, "the device has been disposed of");
  return ModuleHandle::make(env, {belongings_, std::move(module_)});
}

CloseTask::CloseTask(const Napi::Object& self, std::shared_ptr<Backend> backend)
    : Task(self.Env()), backend_(std::move(backend)), self_(Napi::Persistent(self)) {}

void CloseTask::execute(const std::atomic<bool>&) { backend_->close(); }

}  // namespace lossc
