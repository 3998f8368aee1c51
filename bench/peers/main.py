"""Times losses and their gradients by PyTorch, eager and compiled, and on CUDA by kernels made for one loss, on the data of lossc's bench.

Reads one JSON object from stdin: {"device", "dtype", "losses", "seeds", "folder", "tokens", "vocab", "length", "rounds", "warm_up"}; see bench_data.py.
Writes one JSON object to stdout: versions, absent, timings and failed, as bench/peers.ts declares them.
"""
import contextlib
import gc
import json
import sys
import time

import torch

import bench_data
import bench_kernels
import bench_losses


def ways(name, functions):
    """What computes a loss: functions of logits and data, by the name of their peer."""
    loss = bench_losses.LOSSES[name]
    yield "PyTorch, eager", loss
    yield "PyTorch, torch.compile", torch.compile(loss, dynamic=False)
    if name == "cross_entropy":
        yield from functions.items()


def timed(function, batch, request):
    """The loss, and milliseconds of every round, by the clock of the host: all that was launched has ended before a round begins and ends."""
    wait = torch.cuda.synchronize if request["device"].startswith("cuda") else lambda: None
    times = []
    for _ in range(request["warm_up"] + request["rounds"]):
        leaf = batch.logits.clone().requires_grad_()  # fresh data, pages touched: not timed
        wait()
        start = time.perf_counter()
        value = function(leaf, batch)
        value.backward()
        wait()
        times.append(1e3 * (time.perf_counter() - start))
    return value.item(), times[request["warm_up"] :]


def release(device):
    torch._dynamo.reset()
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def report(request):
    device, cuda = request["device"], request["device"].startswith("cuda")
    out = {"versions": {}, "absent": {}, "timings": [], "failed": []}
    if cuda and not torch.cuda.is_available():
        out["absent"]["PyTorch"] = f"torch {torch.__version__} sees no GPU"
        return out
    if cuda:
        torch.cuda.set_device(device)
    functions, versions, absent = bench_kernels.found() if cuda and "cross_entropy" in request["losses"] else ({}, {}, {})
    out["versions"] = {"PyTorch": torch.__version__, **versions}
    out["absent"] = absent
    batch = bench_data.batch(request)
    for name in request["losses"]:
        for peer, function in ways(name, functions):
            try:
                value, times = timed(function, batch, request)
                out["timings"].append({"loss": name, "peer": peer, "value": value, "milliseconds": times})
            except Exception as error:  # one that fails must not take the others with it
                problem = f"{type(error).__name__}: {error}".split("\n")[0]
                out["failed"].append({"loss": name, "peer": peer, "problem": problem})
            release(device)
    return out


def main():
    request = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # what others print is no part of the answer
        answer = report(request)
    json.dump(answer, sys.stdout)


main()
