"""Times losses from hidden states to the gradients of hidden states and head, and their peak memory, as main.py does from logits.

Reads what main.py reads, and "width" and "scales".
"""
import bench_data
import bench_kernels
import bench_losses
import bench_run


def from_hidden(loss):
    return lambda hidden, head, data: loss(hidden @ head.T, data)


LOSSES = {name: from_hidden(loss) for name, loss in bench_losses.LOSSES.items()}


def timing(function, batch, request):
    leaves = [batch.hidden.requires_grad_(), batch.head.requires_grad_()]

    def prepare():
        for leaf in leaves:
            leaf.grad = None

    work = lambda _: function(*leaves, batch)
    value, times = bench_run.timed(prepare, work, request)
    peak = bench_run.peak(prepare, work, request)
    gradients = sum(leaf.grad.nbytes for leaf in leaves)
    return {"value": value, "milliseconds": times, "peak_bytes": None if peak is None else peak - gradients}


if __name__ == "__main__":
    bench_run.serve(bench_kernels.HEAD_KERNELS, bench_data.head_batch, LOSSES, timing)
