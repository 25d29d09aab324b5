"""Nets: ranges around RealMLP-TD and TabM (TabArena's search spaces), for tens of epochs on one core."""

from ray import tune

SPACE = {
    "n_epochs": tune.choice([16, 24, 32]),
    "batch_size": tune.choice([128, 256, 512]),
    "lr": tune.loguniform(4e-3, 8e-2),
    "weight_decay": tune.loguniform(1e-3, 3e-1),
    "dropout": tune.uniform(0.0, 0.5),
    "width": tune.choice([128, 192, 256, 384]),
    "n_layers": tune.choice([2, 3, 4]),
    "k": tune.choice([1, 2, 4]),
    "activation": tune.choice(["selu", "silu"]),
    "plr_sigma": tune.loguniform(2e-2, 2.0),
}

MUTABLE = {"lr", "weight_decay", "dropout"}


def _entry(**changes: float | str) -> dict:
    known_good = {
        "n_epochs": 24,
        "batch_size": 256,
        "lr": 0.02,
        "weight_decay": 0.02,
        "dropout": 0.15,
        "width": 256,
        "n_layers": 3,
        "k": 1,
        "activation": "silu",
        "plr_sigma": 0.1,
    }
    return known_good | changes


PORTFOLIO = [
    _entry(),
    _entry(k=4, width=128, dropout=0.1),
    _entry(activation="selu", plr_sigma=0.5, dropout=0.3),
    _entry(n_epochs=32, width=384, k=2, lr=0.01),
]
