"""Times a loss and its gradient in PyTorch, eager and compiled, on data that lossc's bench wrote.

Reads one JSON object from stdin: {"loss", "folder", "tokens", "vocab", "length", "rounds", "warm_up"}; the folder holds logits, logprobs,
advantages (float32) and target_tokens (int32), raw; every sequence has `length` tokens. Writes one JSON object to stdout: the version, and for
each way the loss and the milliseconds of every round.
"""
import json
import sys
import time

import numpy
import torch


def chosen(logits, targets):
    return torch.log_softmax(logits, -1).gather(1, targets[:, None])[:, 0]


def surrogate(ratio, advantages, low, high):
    return -torch.minimum(ratio * advantages, torch.clamp(ratio, low, high) * advantages).sum()


def ppo(logits, targets, logprobs, advantages, length):
    return surrogate(torch.exp(chosen(logits, targets) - logprobs), advantages, 0.8, 1.2)


def cross_entropy(logits, targets, logprobs, advantages, length):
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")


def gspo(logits, targets, logprobs, advantages, length):
    policy = chosen(logits, targets)
    sequence = (policy - logprobs).reshape(-1, length).mean(1, keepdim=True).expand(-1, length).reshape(-1)
    return surrogate(torch.exp(policy - policy.detach() + sequence.detach()), advantages, 0.9997, 1.0004)


def variance(logits, targets, logprobs, advantages, length):
    return chosen(logits, targets).reshape(-1, length).var(1).sum()


LOSSES = {"ppo": ppo, "a user's ppo": ppo, "cross_entropy": cross_entropy, "gspo": gspo, "variance": variance}


def main():
    request = json.load(sys.stdin)
    read = lambda name, dtype: torch.from_numpy(numpy.fromfile(f"{request['folder']}/{name}", dtype))
    logits = read("logits", "float32").reshape(request["tokens"], request["vocab"])
    others = (read("target_tokens", "int32").long(), read("logprobs", "float32"), read("advantages", "float32"), request["length"])
    loss = LOSSES[request["loss"]]
    timings = []
    for way, function in {"eager": loss, "torch.compile": torch.compile(loss)}.items():
        times, value = [], None
        for _ in range(request["warm_up"] + request["rounds"]):
            leaf = logits.clone().requires_grad_()  # fresh data, pages touched: not timed
            start = time.perf_counter()
            value = function(leaf, *others)
            value.backward()
            times.append(1e3 * (time.perf_counter() - start))
        timings.append({"way": way, "loss": value.item(), "milliseconds": times[request["warm_up"] :]})
    json.dump({"name": "PyTorch", "version": torch.__version__, "timings": timings}, sys.stdout)


main()
