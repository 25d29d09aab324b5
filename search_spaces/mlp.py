"""The search space of nets: ranges around RealMLP-TD and TabM, for tens of epochs on one core.

RealMLP's and TabM's ranges are those that TabArena searches (arXiv 2506.16791).
"""

from ray import tune

SPACE = {
    "n_epochs": tune.choice([12, 16, 24]),
    "batch_size": tune.choice([128, 256, 512]),
    "lr": tune.loguniform(4e-3, 6e-2),
    "weight_decay": tune.loguniform(2e-3, 2e-1),
    "dropout": tune.uniform(0.0, 0.5),
    "width": tune.choice([128, 192, 256, 384]),
    "n_layers": tune.choice([2, 3, 4]),
    "k": tune.choice([1, 2, 4]),
    "activation": tune.choice(["selu", "silu"]),
    "plr_sigma": tune.loguniform(2e-2, 2.0),
    "n_bins": tune.choice([8, 32, 128]),
}

MUTABLE = {"lr", "weight_decay", "dropout"}


def _entry(**changed: object) -> dict[str, object]:
    """Return a small net of four members, which overfits small tables least, changed as said."""
    usual = {
        "n_epochs": 12,
        "batch_size": 256,
        "lr": 0.025,
        "weight_decay": 0.02,
        "dropout": 0.15,
        "width": 128,
        "n_layers": 3,
        "k": 4,
        "activation": "silu",
        "plr_sigma": 0.1,
        "n_bins": 128,
    }
    return usual | changed


PORTFOLIO = [
    _entry(),
    _entry(n_epochs=16, lr=0.03, k=1, width=256),
    _entry(n_epochs=16, batch_size=128, lr=0.02, width=192),
    _entry(n_epochs=24, lr=0.03, k=1, width=256, n_bins=8, plr_sigma=0.3, dropout=0.2),
]
