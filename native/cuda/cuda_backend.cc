#include "cuda/cuda_backend.h"

#include <algorithm>

#include "cuda/gpu_memory.h"
#include "cuda/gpu_module.h"

namespace lossc::cuda {
namespace {

/// Limit of commands in flight. Submitted commands cannot be withdrawn when the program is aborted.
constexpr std::size_t inFlight = 16;
/// Bytes of a copy between two reads of the abort flag.
constexpr std::size_t copyBytes = std::size_t{64} << 20;

/// Consecutive commands. Fills and launches can be replayed as a graph; commands with host addresses and matrix products cannot.
struct Part {
  Graphs::Commands commands;
  bool replayable;
};

bool onDevice(const Command& command) { return std::holds_alternative<Fill>(command) || std::holds_alternative<Launch>(command); }

std::vector<Part> partsOf(const Program& program) {
  std::vector<Part> parts;
  bool within = false;
  for (const auto& command : program.commands) {
    if (!within || !onDevice(command)) parts.push_back({{}, false});
    parts.back().commands.push_back(&command);
    within = onDevice(command);
  }
  // cuBLAS keeps its own memory between products, so programs with products are not recorded.
  const bool products = std::any_of(program.commands.begin(), program.commands.end(),
                                    [](const Command& command) { return std::holds_alternative<Matmul>(command); });
  for (auto& [commands, replayable] : parts) {
    const bool kernels = std::any_of(commands.begin(), commands.end(),
                                     [](const Command* command) { return std::holds_alternative<Launch>(*command); });
    // A single command gains nothing from a graph. The limit of commands in flight holds for graphs too.
    replayable = !products && kernels && commands.size() > 1 && commands.size() <= inFlight;
  }
  return parts;
}

}  // namespace

CudaBackend::CudaBackend(std::shared_ptr<Gpu> gpu)
    : Backend({"cuda", gpu->description.name, gpu->description.architecture, false, 1}), gpu_(std::move(gpu)), blas_(*gpu_) {}

/// Memory and modules that outlive the device keep the GPU open.
CudaBackend::~CudaBackend() { closeBlas(); }

std::shared_ptr<Allocation> CudaBackend::allocate(std::size_t bytes) { return GpuMemory::make(gpu_, bytes); }

std::shared_ptr<lossc::Module> CudaBackend::load(const Binary& binary) {
  return std::make_shared<GpuModule>(gpu_, binary);
}

void CudaBackend::run(Program& program, const Interrupt& interrupt) {
  const auto current = gpu_->enter("running a program");
  // All kernels are looked up first, so that a missing one is reported before anything has run.
  for (const auto& command : program.commands)
    if (const auto* launch = std::get_if<Launch>(&command)) static_cast<GpuModule&>(*launch->module).require(launch->kernel);
  try {
    std::size_t submitted = 0;
    // Reads the abort flag, and waits where too many commands would be in flight.
    const auto makeRoom = [&](std::size_t count) {
      if (submitted + count > inFlight) {
        gpu_->synchronize("waiting for the GPU");
        submitted = 0;
      }
      interrupt.check();
      submitted += count;
    };
    for (const auto& part : partsOf(program)) {
      if (part.replayable) {
        makeRoom(part.commands.size());
        if (replay(part.commands)) continue;
        submitted -= part.commands.size();
      }
      for (const auto* command : part.commands) {
        makeRoom(1);
        std::visit([&](const auto& concrete) { submit(concrete, interrupt); }, *command);
      }
    }
  } catch (...) {
    // Submitted commands still access the caller's memory.
    gpu_->driver.streamSynchronize(gpu_->stream);
    throw;
  }
  gpu_->synchronize("waiting for the GPU");
}

bool CudaBackend::replay(const Graphs::Commands& commands) {
  std::int64_t kernels = 0;
  for (const auto* command : commands) kernels += std::holds_alternative<Launch>(*command);
  const auto submitAll = [&](Stream stream) {
    for (const auto* command : commands) {
      if (const auto* kernel = std::get_if<Launch>(command)) launch(*kernel, stream);
      if (const auto* memory = std::get_if<Fill>(command)) fill(*memory, stream);
    }
  };
  if (!gpu_->graphs.replay(commands, submitAll)) return false;
  launches.fetch_add(kernels, std::memory_order_relaxed);
  return true;
}

void CudaBackend::submit(const Launch& command, const Interrupt&) {
  launch(command, gpu_->stream);
  launches.fetch_add(1, std::memory_order_relaxed);
}

void CudaBackend::submit(const Fill& command, const Interrupt&) { fill(command, gpu_->stream); }

void CudaBackend::submit(const Matmul& matmul, const Interrupt&) { blas_.matmul(matmul); }

void CudaBackend::launch(const Launch& launch, Stream stream) {
  auto* function = static_cast<GpuModule&>(*launch.module).kernel(launch.kernel, launch.shared);
  auto bytes = launch.arguments.size() * sizeof(launch.arguments[0]);
  auto* arguments = const_cast<std::uint64_t*>(launch.arguments.data());
  void* extra[] = {launchParamBufferPointer, arguments, launchParamBufferSize, &bytes, launchParamEnd};
  const auto blocks = static_cast<unsigned>(launch.blocks());
  const auto threads = static_cast<unsigned>(launch.block);
  gpu_->check(gpu_->driver.launchKernel(function, blocks, 1, 1, threads, 1, 1, static_cast<unsigned>(launch.shared), stream, nullptr,
                                         bytes == 0 ? nullptr : extra),
              "launching kernel " + launch.kernel);
}

void CudaBackend::submit(const Write& write, const Interrupt& interrupt) {
  for (std::size_t done = 0; done < write.bytes; done += copyBytes) {
    if (done > 0) interrupt.check();
    gpu_->check(gpu_->driver.memcpyHtoDAsync(write.to + done, static_cast<const unsigned char*>(write.from) + done,
                                             std::min(copyBytes, write.bytes - done), gpu_->stream),
                "copying to the GPU");
  }
}

void CudaBackend::submit(const Read& read, const Interrupt& interrupt) {
  for (std::size_t done = 0; done < read.bytes; done += copyBytes) {
    if (done > 0) interrupt.check();
    gpu_->check(gpu_->driver.memcpyDtoHAsync(static_cast<unsigned char*>(read.to) + done, read.from + done, std::min(copyBytes, read.bytes - done),
                                             gpu_->stream),
                "copying from the GPU");
  }
}

/// In one piece: a copy within the GPU takes milliseconds at any size.
void CudaBackend::submit(const Copy& copy, const Interrupt&) {
  if (copy.bytes > 0) gpu_->check(gpu_->driver.memcpyDtoDAsync(copy.to, copy.from, copy.bytes, gpu_->stream), "copying on the GPU");
}

void CudaBackend::fill(const Fill& fill, Stream stream) {
  if (fill.bytes > 0) gpu_->check(gpu_->driver.memsetD8Async(fill.to, fill.value, fill.bytes, stream), "filling memory of the GPU");
}

void CudaBackend::close() {
  closeBlas();
  gpu_->close();
}

void CudaBackend::closeBlas() {
  try {
    const auto current = gpu_->enter("closing the device");
    blas_.close();
  } catch (const Fault&) {
    // The cuBLAS handle was freed with the context.
  }
}

}  // namespace lossc::cuda
