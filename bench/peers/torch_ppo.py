"""Times ppo's loss and gradient in PyTorch, eager and compiled, on data that lossc's bench wrote.

Reads one JSON object from stdin: {"folder", "tokens", "vocab", "rounds", "warm_up"}; the folder holds logits, logprobs, advantages (float32)
and target_tokens (int32), raw. Writes one JSON object to stdout: the versions, and for each way the loss and the milliseconds of every round.
"""
import json
import sys
import time

import numpy
import torch


def ppo(logits, target_tokens, logprobs, advantages):
    ratio = torch.exp(torch.log_softmax(logits, -1).gather(1, target_tokens[:, None])[:, 0] - logprobs)
    return -torch.minimum(ratio * advantages, torch.clamp(ratio, 0.8, 1.2) * advantages).sum()


def main():
    request = json.load(sys.stdin)
    read = lambda name, dtype: torch.from_numpy(numpy.fromfile(f"{request['folder']}/{name}", dtype))
    logits = read("logits", "float32").reshape(request["tokens"], request["vocab"])
    others = (read("target_tokens", "int32").long(), read("logprobs", "float32"), read("advantages", "float32"))
    answer = {"name": "PyTorch", "version": torch.__version__, "threads": torch.get_num_threads(), "ways": {}}
    for way, function in {"eager": ppo, "torch.compile": torch.compile(ppo)}.items():
        times, loss = [], None
        for _ in range(request["warm_up"] + request["rounds"]):
            leaf = logits.clone().requires_grad_()  # fresh data, pages touched: not timed
            start = time.perf_counter()
            value = function(leaf, *others)
            value.backward()
            times.append(1e3 * (time.perf_counter() - start))
            loss = value.item()
        answer["ways"][way] = {"loss": loss, "milliseconds": times[request["warm_up"] :]}
    json.dump(answer, sys.stdout)


main()
