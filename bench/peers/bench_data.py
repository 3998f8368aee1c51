"""The data of lossc's bench: rows of logits from a seed, bit for bit those of bench/steps.ts, and what it wrote into a folder."""
import types

import numpy
import torch

MASK = 0xFFFFFFFF
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def mixed(x):
    # Products wrap at 64 bits; the lower 32 are right all the same.
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


def rows(tokens, vocab, seed, dtype, device):
    out = torch.empty(tokens, vocab, dtype=dtype, device=device)
    step = max(1, (1 << 24) // vocab)  # integers take four times the room
    for begin in range(0, tokens, step):
        part = out[begin : begin + step]
        place = torch.arange(begin * vocab, begin * vocab + part.numel(), device=device)
        first = mixed((place + seed * 0x9E3779B9) & MASK)
        second = mixed((first + 0x9E3779B9) & MASK)
        total = (first & 0xFFFF) + (first >> 16) + (second & 0xFFFF) + (second >> 16)
        part.copy_(((total.float() / 65536 - 2) * 3).reshape(part.shape))
    return out


def batch(request):
    """A namespace: logits, teacher_logits, targets, logprobs, advantages, weights, length."""
    device, dtype = request["device"], DTYPES[request["dtype"]]
    read = lambda name, kind: torch.from_numpy(numpy.fromfile(f"{request['folder']}/{name}", kind)).to(device)
    made = lambda name: rows(request["tokens"], request["vocab"], request["seeds"][name], dtype, device)
    return types.SimpleNamespace(
        logits=made("logits"),
        teacher_logits=made("teacher_logits") if "forward_kl" in request["losses"] else None,
        targets=read("target_tokens", "int32").long(),
        logprobs=read("logprobs", "float32"),
        advantages=read("advantages", "float32"),
        weights=read("weights", "float32"),
        length=request["length"],
    )
