"""Runs the PyTorch code of docs/porting.md in float64 and writes its losses and gradients to fixtures/porting.json.

Run with torch on the CPU, from anywhere: python test/docs/porting.py
"""

import hashlib
import inspect
import json
import pathlib
import re

import torch

HERE = pathlib.Path(__file__).parent
LENGTHS, GROUPS, VOCAB = [3, 2, 4, 2], [2, 2], 6
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (HERE / "../../docs/porting.md").read_text(encoding="utf-8"), re.M | re.S)

torch.manual_seed(7)
tokens = sum(LENGTHS)
# Rounded to float32, so that every device is given the same numbers.
real = lambda *shape: torch.randn(*shape).double()
packed = {
    "logits": 2 * real(tokens, VOCAB),
    "teacher_logits": 2 * real(tokens, VOCAB),
    "target_tokens": torch.randint(VOCAB, (tokens,)),
    "mask": torch.tensor([1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1], dtype=torch.float64),
    "advantages": real(tokens),
}
picked = torch.log_softmax(packed["logits"], -1).gather(-1, packed["target_tokens"][:, None])[:, 0]
packed["logprobs"] = (picked + 0.3 * real(tokens)).float().double()
packed["reference_logprobs"] = (picked + 0.5 * real(tokens)).float().double()
sequences = {"reward": real(len(LENGTHS))}


def padded(x):
    """Rows of each sequence, and zeros behind them."""
    return torch.nn.utils.rnn.pad_sequence(torch.split(x, LENGTHS), batch_first=True)


def measured(function):
    logits = padded(packed["logits"]).requires_grad_()
    given = {name: padded(x) for name, x in packed.items()} | sequences | {"logits": logits, "forward": lambda: logits}
    names = list(inspect.signature(function).parameters)
    loss = function(**{name: given[name] for name in names})
    if "forward" not in names:
        loss.backward()
    gradient = torch.cat([row[:length] for row, length in zip(logits.grad, LENGTHS)])
    return {"loss": loss.item(), "gradient": gradient.flatten().tolist()}


scope = {}
results = {}
for block in BLOCKS:
    exec(block, scope)
    name = re.search(r"^def (\w+)", block, re.M).group(1)
    if name == "token_logprobs":
        continue
    results[name] = {"python": hashlib.sha256(block.encode()).hexdigest(), **measured(scope[name])}

fixture = {
    "torch": torch.__version__.split("+")[0],
    "batch": {
        "lengths": LENGTHS,
        "groups": GROUPS,
        "vocab": VOCAB,
        **{name: x.flatten().tolist() for name, x in (packed | sequences).items()},
    },
    "losses": results,
}
(HERE / "fixtures" / "porting.json").write_text(json.dumps(fixture, indent=1) + "\n", encoding="utf-8")
