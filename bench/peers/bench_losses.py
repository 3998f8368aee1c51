"""The losses of the bench in PyTorch: functions of logits and data. Half-precision logits are widened first, as training code does."""
import torch


def chosen(logits, data):
    return torch.log_softmax(logits.float(), -1).gather(1, data.targets[:, None])[:, 0]


def surrogate(ratio, data, low, high):
    return -torch.minimum(ratio * data.advantages, torch.clamp(ratio, low, high) * data.advantages)


def ppo(logits, data):
    return surrogate(torch.exp(chosen(logits, data) - data.logprobs), data, 0.8, 1.2).sum()


def ppo_masked(logits, data):
    return (surrogate(torch.exp(chosen(logits, data) - data.logprobs), data, 0.8, 1.2) * data.weights).sum()


def cross_entropy(logits, data):
    return torch.nn.functional.cross_entropy(logits.float(), data.targets, reduction="sum")


def gspo(logits, data):
    policy = chosen(logits, data)
    sequence = (policy - data.logprobs).reshape(-1, data.length).mean(1, keepdim=True).expand(-1, data.length).reshape(-1)
    return surrogate(torch.exp(policy - policy.detach() + sequence.detach()), data, 0.9997, 1.0004).sum()


def variance(logits, data):
    return chosen(logits, data).reshape(-1, data.length).var(1).sum()


def forward_kl(logits, data):
    teacher = torch.log_softmax(data.teacher_logits.float(), -1)
    return (teacher.exp() * (teacher - torch.log_softmax(logits.float(), -1))).sum()


LOSSES = {
    "cross_entropy": cross_entropy,
    "ppo": ppo,
    "a user's ppo": ppo,
    "ppo half masked": ppo_masked,
    "gspo": gspo,
    "variance": variance,
    "forward_kl": forward_kl,
}
