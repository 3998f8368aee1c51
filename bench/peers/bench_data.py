"""The data of lossc's bench: matrices from a seed, bit for bit those of bench/steps.ts, and what it wrote into a folder."""
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


def rows(tokens, vocab, seed, dtype, device, scale=3):
    out = torch.empty(tokens, vocab, dtype=dtype, device=device)
    step = max(1, (1 << 24) // vocab)  # integers take four times the room
    for begin in range(0, tokens, step):
        part = out[begin : begin + step]
        place = torch.arange(begin * vocab, begin * vocab + part.numel(), device=device)
        first = mixed((place + seed * 0x9E3779B9) & MASK)
        second = mixed((first + 0x9E3779B9) & MASK)
        total = (first & 0xFFFF) + (first >> 16) + (second & 0xFFFF) + (second >> 16)
        part.copy_(((total.float() / 65536 - 2) * scale).reshape(part.shape))
    return out


def per_token(request):
    """A function of a file's name and dtype."""
    return lambda name, kind: torch.from_numpy(numpy.fromfile(f"{request['folder']}/{name}", kind)).to(request["device"])


def batch(request):
    """A namespace: logits, teacher_logits, targets, logprobs, advantages, weights, length."""
    read = per_token(request)
    shape = (request["tokens"], request["vocab"])
    made = lambda name: rows(*shape, request["seeds"][name], DTYPES[request["dtype"]], request["device"])
    return types.SimpleNamespace(
        logits=made("logits"),
        teacher_logits=made("teacher_logits") if "forward_kl" in request["losses"] else None,
        targets=read("target_tokens", "int32").long(),
        logprobs=read("logprobs", "float32"),
        advantages=read("advantages", "float32"),
        weights=read("weights", "float32"),
        length=request["length"],
    )


def head_batch(request):
    """A namespace: hidden, head, targets, logprobs, advantages, length."""
    read = per_token(request)
    dtype, width = DTYPES[request["dtype"]], request["width"]
    made = lambda name, count: rows(count, width, request["seeds"][name], dtype, request["device"], request["scales"][name])
    return types.SimpleNamespace(
        hidden=made("hidden", request["tokens"]),
        head=made("head", request["vocab"]),
        targets=read("target_tokens", "int32").long(),
        logprobs=read("logprobs", "float32"),
        advantages=read("advantages", "float32"),
        length=request["length"],
    )
