"""What the scripts that time peers share: turns by the host's clock, peak memory, and one JSON object for another."""
import contextlib
import gc
import json
import re
import sys
import time

import torch

import bench_kernels


def on_cuda(request):
    return request["device"].startswith("cuda")


def timed(prepare, work, request):
    """The loss, and milliseconds of every round: all that was launched has ended before a round begins and ends. `prepare` is not timed."""
    wait = torch.cuda.synchronize if on_cuda(request) else lambda: None
    times = []
    for _ in range(request["warm_up"] + request["rounds"]):
        prepared = prepare()
        wait()
        start = time.perf_counter()
        value = work(prepared)
        value.backward()
        wait()
        times.append(1e3 * (time.perf_counter() - start))
    return value.item(), times[request["warm_up"] :]


def resident(field):
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB$", status.read(), re.MULTILINE)[1])


def peak(prepare, work, request):
    """Peak bytes of a call beyond those before it; None where the system does not report them."""
    prepared = prepare()
    if on_cuda(request):
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work(prepared).backward()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    try:
        gc.collect()
        with open("/proc/self/clear_refs", "w") as clear:
            clear.write("5")
        before = resident("VmRSS")
        work(prepared).backward()
        return resident("VmHWM") - before
    except OSError:
        return None


def release(request):
    torch._dynamo.reset()
    gc.collect()
    if on_cuda(request):
        torch.cuda.empty_cache()


def report(request, kernels, make_batch, losses, timing):
    """`kernels`: those for cross_entropy alone, CUDA only. `losses`: functions of PyTorch by name. `timing(function, batch, request)` times a function."""
    cuda = on_cuda(request)
    out = {"versions": {}, "absent": {}, "timings": [], "failed": []}
    if cuda and not torch.cuda.is_available():
        out["absent"]["PyTorch"] = f"torch {torch.__version__} sees no GPU"
        return out
    if cuda:
        torch.cuda.set_device(request["device"])
    wanted = cuda and "cross_entropy" in request["losses"]
    functions, versions, out["absent"] = bench_kernels.found(kernels) if wanted else ({}, {}, {})
    out["versions"] = {"PyTorch": torch.__version__, **versions}
    batch = make_batch(request)
    for name in request["losses"]:
        ways = {"PyTorch, eager": losses[name], "PyTorch, torch.compile": torch.compile(losses[name], dynamic=False)}
        for peer, function in {**ways, **(functions if name == "cross_entropy" else {})}.items():
            try:
                out["timings"].append({"loss": name, "peer": peer, **timing(function, batch, request)})
            except Exception as error:  # one that fails must not take the others with it
                problem = f"{type(error).__name__}: {error}".split("\n")[0]
                out["failed"].append({"loss": name, "peer": peer, "problem": problem})
            release(request)
    return out


def serve(*how):
    request = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # what others print is no part of the answer
        answer = report(request, *how)
    json.dump(answer, sys.stdout)
