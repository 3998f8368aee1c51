"""Times losses and their gradients by PyTorch, eager and compiled, and on CUDA by kernels made for one loss, on the data of lossc's bench.

Reads one JSON object from stdin: {"device", "dtype", "losses", "seeds", "folder", "tokens", "vocab", "length", "rounds", "warm_up"}; see bench_data.py.
Writes one JSON object to stdout: versions, absent, timings and failed, as bench/peers.ts declares them.
"""
import bench_data
import bench_kernels
import bench_losses
import bench_run


def timing(function, batch, request):
    leaf = lambda: batch.logits.clone().requires_grad_()  # fresh data, pages touched
    value, times = bench_run.timed(leaf, lambda logits: function(logits, batch), request)
    return {"value": value, "milliseconds": times}


bench_run.serve(bench_kernels.KERNELS, bench_data.batch, bench_losses.LOSSES, timing)
