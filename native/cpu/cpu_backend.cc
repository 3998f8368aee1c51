#include "cpu/cpu_backend.h"

#include "core/host.h"

namespace lossc {
namespace {

/// The signature of kernels of the cpu prelude: they visit elements [begin, end).
using Kernel = void(const void* arguments, long long begin, long long end);

Description describe(int threads) { return {"cpu", host::processorName(), host::architecture(), true, threads}; }

int resolve(int threads) { return threads > 0 ? threads : host::cores(); }

}  // namespace

CpuBackend::CpuBackend(int threads) : HostBackend(describe(resolve(threads)), resolve(threads)) {}

void CpuBackend::launch(const Launch& launch, void* kernel, const Interrupt& interrupt) {
  auto* entry = reinterpret_cast<Kernel*>(kernel);
  const void* arguments = launch.arguments.data();
  pool_.visit(launch.elements, launch.perBlock, interrupt, [=](std::int64_t begin, std::int64_t end, int) { entry(arguments, begin, end); });
}

}  // namespace lossc
