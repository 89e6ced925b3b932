"""Train a small network on half of scikit-learn's digits; write its weights and both halves here."""

from pathlib import Path

import numpy as np
import torch
from network import make
from safetensors.torch import save_file
from sklearn.datasets import load_digits

here = Path(__file__).parent
x, y = load_digits(return_X_y=True)
x = (x / 16).astype(np.float32)
ours = np.random.default_rng(0).permutation(len(y)) < len(y) // 2

torch.manual_seed(0)
network = make()
optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
inputs, labels = torch.from_numpy(x[ours]), torch.from_numpy(y[ours])
for _ in range(300):
    optimiser.zero_grad()
    torch.nn.functional.cross_entropy(network(inputs), labels).backward()
    optimiser.step()

save_file(network.state_dict(), here / "model.safetensors")
for name, side in (("members", ours), ("nonmembers", ~ours)):
    np.savez(here / f"{name}.npz", inputs=x[side], labels=y[side], ids=np.flatnonzero(side))
