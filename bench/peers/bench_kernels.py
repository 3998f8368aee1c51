"""Kernels for single losses, CUDA only. Each is named as absent where it cannot be imported."""
import importlib
import importlib.metadata


def liger(module):
    return lambda logits, data: module.liger_cross_entropy(logits, data.targets, reduction="sum")


def quack(module):
    return lambda logits, data: module.cross_entropy(logits, data.targets, reduction="sum", inplace_backward=True)


def liger_fused(module):
    # The head's gradient is summed in its own dtype, as lossc sums it.
    return lambda hidden, head, data: module.liger_fused_linear_cross_entropy(hidden, head, data.targets, reduction="sum")


# Name, package, module, and what makes the loss of it. All of them compute cross_entropy, from logits.
KERNELS = [
    ("Liger-Kernel", "liger-kernel", "liger_kernel.transformers.functional", liger),
    ("quack", "quack-kernels", "quack.cross_entropy", quack),
]


# From hidden states and a head.
HEAD_KERNELS = [
    ("Liger-Kernel, fused linear", "liger-kernel", "liger_kernel.transformers.functional", liger_fused),
]


def found(kernels):
    """Functions and versions of those that are there, and why the others are not, each by its name."""
    functions, versions, absent = {}, {}, {}
    for name, package, module, make in kernels:
        try:
            functions[name] = make(importlib.import_module(module))
            versions[name] = importlib.metadata.version(package)
        except Exception as error:  # a package that is there may fail in many ways
            functions.pop(name, None)
            absent[name] = f"{type(error).__name__}: {error}"
    return functions, versions, absent
