"""The space of architectures: what a child net is a sequence of, and known-good children to begin with.

Widths, dropout and learning rates are those of search_spaces/mlp.py, which trains the same way; the kinds of layer are
those that have won on tables: residual blocks (ResNet of Gorishniy et al. 2021, arXiv 2106.11959), gated linear units
(Shazeer 2020, arXiv 2002.05202), cross layers (DCN-V2, Wang et al. 2021, arXiv 2008.13535) and attention to inputs
(squeeze and excitation, as in FiBiNET, Huang et al. 2019, arXiv 1905.09433).
"""

from ray import tune

ARCHITECTURE = {
    "n_layers": (1, 2, 3, 4, 5),
    "kind": ("dense", "glu", "residual", "attention", "cross"),
    "width": (64, 128, 192, 256),
    "activation": ("relu", "silu", "selu"),
    "norm": ("none", "layer"),
    "dropout": (0.0, 0.1, 0.2, 0.3),
}

SPACE = {
    "architecture": ARCHITECTURE,
    "lr": tune.choice([0.01, 0.02, 0.04]),
    "k": tune.choice([1, 2, 4]),
}

PORTFOLIO = [
    {
        "architecture": "dense-128-silu-none-0.1(x) dense-128-silu-none-0.1(1) dense-128-silu-none-0.1(2)",
        "lr": 0.02,
        "k": 4,
    },
    {
        "architecture": "dense-192-relu-none-0.1(x) residual-192-relu-layer-0.2(1) residual-192-relu-layer-0.2(2)",
        "lr": 0.02,
        "k": 2,
    },
    {
        "architecture": "cross-128-relu-none-0.1(x) cross-128-relu-none-0.1(1) glu-128-silu-none-0.2(x,2)",
        "lr": 0.02,
        "k": 2,
    },
]
