// The fake driver's graphs: what a stream is given while it is recorded is run by every launch of the graph.
#include "state.h"

using namespace fake;

API Result cuStreamBeginCapture_v2(Stream* stream, int mode) {
  INJECT("cuStreamBeginCapture_v2")
  CURRENT(context);
  constexpr int threadLocal = 1;
  // The other modes let threads that know nothing of it spoil the recording, or the recording them.
  if (mode != threadLocal) return invalidValue;
  if (context->streams.count(stream) == 0) return stale("cuStreamBeginCapture_v2");
  if (recording != nullptr || stream->recording != nullptr) return illegalState;
  journal("cuStreamBeginCapture_v2");
  stream->recording = std::make_unique<Graph>();
  stream->invalid = false;
  recording = stream;
  return success;
}

API Result cuStreamEndCapture(Stream* stream, Graph** graph) {
  const std::lock_guard guard(lock);
  *graph = nullptr;
  if (recording != stream || stream->recording == nullptr) return illegalState;
  // The recording has ended, with or without a graph.
  recording = nullptr;
  auto recorded = std::move(stream->recording);
  if (const int wanted = injected("cuStreamEndCapture"); wanted != success) return wanted;
  CURRENT(context);
  if (stream->invalid) return captureInvalidated;
  journal("cuStreamEndCapture", "\"work\":" + std::to_string(recorded->work.size()));
  *graph = recorded.release();
  context->graphs.insert(*graph);
  return success;
}

API Result cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long flags) {
  INJECT("cuGraphInstantiateWithFlags")
  CURRENT(context);
  if (context->graphs.count(graph) == 0) return stale("cuGraphInstantiateWithFlags");
  if (flags != 0) return invalidValue;
  journal("cuGraphInstantiateWithFlags");
  *executable = new Graph(*graph);
  context->executables.insert(*executable);
  return success;
}

API Result cuGraphDestroy(Graph* graph) {
  INJECT("cuGraphDestroy")
  CURRENT(context);
  if (context->graphs.erase(graph) == 0) return stale("cuGraphDestroy");
  journal("cuGraphDestroy");
  delete graph;
  return success;
}

API Result cuGraphLaunch(Graph* executable, Stream* stream) {
  INJECT("cuGraphLaunch")
  CURRENT(context);
  NOT_WHILE_RECORDING();
  if (context->executables.count(executable) == 0) return stale("cuGraphLaunch");
  journal("cuGraphLaunch", "\"kernels\":[" + executable->kernels + "]");
  for (const auto& step : executable->work)
    if (const auto result = enqueue(*context, stream, step); result != success) return result;
  return success;
}

API Result cuGraphExecDestroy(Graph* executable) {
  INJECT("cuGraphExecDestroy")
  CURRENT(context);
  if (context->executables.erase(executable) == 0) return stale("cuGraphExecDestroy");
  journal("cuGraphExecDestroy");
  delete executable;
  return success;
}
