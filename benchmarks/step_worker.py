"""``python -m benchmarks.step_worker NETWORK VARIANT``: one training step per line on stdin.

Each variant runs in a process of its own, since the allocator's settings hold for a whole process.
A line is answered by the seconds of one step; the last line, at the end of the input, tells the
peak memory in bytes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from bodycomp.networks.allocator import keep_freed_memory
from bodycomp.networks.densenet import DenseNet
from bodycomp.networks.fast import speed_up
from bodycomp.networks.losses import segmentation_loss, slice_selection_loss
from bodycomp.networks.unet import UNet

BATCH = int(os.environ.get("BENCH_BATCH", "16"))
SIZES = {"unet": 512, "densenet": 256}
VARIANTS = ("plain", "ours", "ours-fp32", "ours-operators")


def plain_network(name: str) -> nn.Module:
    """Return the network as one would write it, in PyTorch's default layout."""
    network: nn.Module = UNet() if name == "unet" else DenseNet()
    for weights in network.parameters():
        weights.data = weights.data.contiguous()
    return network


def make_step(name: str, variant: str) -> Callable[[], None]:
    """Return a training step: forward, loss, backward, AdamW; data and weights from one seed."""
    torch.manual_seed(0)
    x = torch.rand(BATCH, 1, SIZES[name], SIZES[name])
    masks = torch.randint(0, 4, (BATCH, SIZES[name], SIZES[name]), dtype=torch.uint8)
    targets = torch.rand(BATCH, 1)
    truth, loss = (
        (masks, segmentation_loss()) if name == "unet" else (targets, slice_selection_loss())
    )
    if variant == "plain":
        network: nn.Module = plain_network(name)
    else:
        keep_freed_memory()
        network = speed_up(UNet() if name == "unet" else DenseNet())
        if variant == "ours-operators":
            os.environ["BODYCOMP_NATIVE"] = "0"
    reduced = variant in {"ours", "ours-operators"}
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            logits = network(x)
        torch.autograd.backward(loss(logits, truth))
        optimizer.step()

    return step


def serve(step: Callable[[], None]) -> None:
    """Do a step for every line of the input."""
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        print(time.perf_counter() - began, flush=True)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024), flush=True)


if __name__ == "__main__":
    serve(make_step(*sys.argv[1:3]))
