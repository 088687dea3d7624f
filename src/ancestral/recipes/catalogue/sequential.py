"""Recipes of models of which every cell is observed: Bayes nets and autoregressive models."""

from __future__ import annotations

from ancestral.estimator import Recipe
from ancestral.recipes import references
from ancestral.recipes.bayes_net import bayes_net, chow_liu
from ancestral.recipes.char_rnn import char_rnn, resolved_char_rnn
from ancestral.recipes.fvsbn import fvsbn, logistic_ar, resolved_linear
from ancestral.recipes.made import made, resolved_made
from ancestral.recipes.nade import (
    eonade,
    nade,
    resolve_nade,
    resolve_rnade,
    rnade,
)
from ancestral.recipes.pixel_cnn import (
    gated_pixel_cnn,
    pixel_cnn,
    resolve_gated_pixel_cnn,
    resolve_pixel_cnn,
)
from ancestral.recipes.pixel_cnn_pp import pixel_cnn_pp, resolve_pixel_cnn_pp
from ancestral.recipes.pixel_rnn import pixel_rnn, resolve_pixel_rnn
from ancestral.recipes.transformer_ar import resolved_transformer_ar, transformer_ar
from ancestral.recipes.wavenet import resolved_wavenet, wavenet

__all__ = ["SEQUENTIAL"]

SEQUENTIAL = (
    Recipe(
        "chow_liu",
        "best tree of pairwise dependences: counted in seconds, exact with any cells missing",
        chow_liu,
        "Chow & Liu (1968), Approximating Discrete Probability Distributions, equation 17",
        references.CHOW_1968,
        tags=("autoregressive", "exact"),
    ),
    Recipe(
        "bayes_net",
        "Bayesian network of tables, its graph given or learnt; exact with any cells missing",
        bayes_net,
        "Heckerman, Geiger & Chickering (1995), Learning Bayesian Networks",
        references.HECKERMAN_1995,
        tags=("autoregressive", "exact"),
    ),
    Recipe(
        "logistic_ar",
        "logistic regression of each cell on the few before it: exact log p",
        logistic_ar,
        "Frey (1998), Graphical Models for Machine Learning and Digital Communication",
        references.FREY_1998,
        tags=("autoregressive", "exact"),
        training={"learning_rate": 6e-3},
        resolve=resolved_linear,
    ),
    Recipe(
        "fvsbn",
        "fully visible sigmoid belief network: each cell on all before it, exact log p",
        fvsbn,
        "Neal (1992), Connectionist Learning of Belief Networks",
        references.NEAL_1992,
        tags=("autoregressive", "exact"),
        training={"learning_rate": 6e-3},
        resolve=resolved_linear,
    ),
    Recipe(
        "made",
        "masked autoencoder: one pass for all conditionals, one or several orders, exact log p",
        made,
        "Germain et al. (2015), MADE: Masked Autoencoder for Distribution Estimation",
        references.GERMAIN_2015,
        tags=("autoregressive", "exact"),
        training={"learning_rate": 4e-3},
        resolve=resolved_made,
    ),
    Recipe(
        "char_rnn",
        "recurrent network over characters, bytes, words or other cells: exact log p",
        char_rnn,
        "Graves (2013), Generating Sequences With Recurrent Neural Networks",
        references.GRAVES_2013,
        tags=("autoregressive", "exact", "text"),
        training={
            "batch_size": 32,
            "learning_rate": 4e-3,
            "lr_warmup_steps": 100,
            "clip_norm": 1.0,
        },
        resolve=resolved_char_rnn,
    ),
    Recipe(
        "transformer_ar",
        "causal transformer over characters, bytes, words or other cells: exact log p",
        transformer_ar,
        "Vaswani et al. (2017), Attention Is All You Need",
        references.VASWANI_2017,
        tags=("autoregressive", "exact", "text"),
        training={
            "batch_size": 32,
            "learning_rate": 1e-3,
            "lr_warmup_steps": 200,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
        },
        resolve=resolved_transformer_ar,
    ),
    Recipe(
        "nade",
        "neural autoregressive estimator: hidden units shared by all cells, exact log p",
        nade,
        "Larochelle & Murray (2011), The Neural Autoregressive Distribution Estimator",
        references.LAROCHELLE_2011,
        training={"learning_rate": 3e-3},
        tags=("autoregressive", "exact"),
        resolve=resolve_nade,
    ),
    Recipe(
        "rnade",
        "NADE for real numbers: a mixture in each cell, exact density",
        rnade,
        "Uria, Murray & Larochelle (2013), RNADE",
        references.URIA_2013,
        training={"learning_rate": 3e-3},
        tags=("autoregressive", "exact"),
        resolve=resolve_rnade,
    ),
    Recipe(
        "eonade",
        "one network for every order of the cells, and an exact mixture over several orders",
        eonade,
        "Uria, Murray & Larochelle (2014), A Deep and Tractable Density Estimator",
        references.URIA_2014,
        training={"learning_rate": 3e-3},
        tags=("autoregressive", "exact"),
        resolve=resolve_nade,
    ),
    Recipe(
        "pixel_cnn",
        "masked convolutions over images, pixel by pixel, colour by colour: exact log p",
        pixel_cnn,
        "van den Oord, Kalchbrenner & Kavukcuoglu (2016), Pixel Recurrent Neural Networks",
        references.OORD_2016A,
        training={"batch_size": 32, "lr_warmup_steps": 100, "schedule": "cosine"},
        tags=("autoregressive", "exact", "images"),
        resolve=resolve_pixel_cnn,
    ),
    Recipe(
        "gated_pixel_cnn",
        "gated convolutions over images, without a blind spot: exact log p",
        gated_pixel_cnn,
        "van den Oord et al. (2016), Conditional Image Generation with PixelCNN Decoders",
        references.OORD_2016B,
        training={
            "batch_size": 16,
            "learning_rate": 3e-3,
            "lr_warmup_steps": 100,
            "schedule": "cosine",
        },
        tags=("autoregressive", "exact", "images"),
        resolve=resolve_gated_pixel_cnn,
    ),
    Recipe(
        "pixel_rnn",
        "LSTMs over images, by diagonals or by rows: exact log p",
        pixel_rnn,
        "van den Oord, Kalchbrenner & Kavukcuoglu (2016), Pixel Recurrent Neural Networks",
        references.OORD_2016A,
        training={
            "batch_size": 16,
            "learning_rate": 3e-3,
            "lr_warmup_steps": 100,
            "schedule": "cosine",
        },
        tags=("autoregressive", "exact", "images"),
        resolve=resolve_pixel_rnn,
    ),
    Recipe(
        "pixel_cnn_pp",
        "PixelCNN++: images of levels, a mixture of logistics for all colours of a pixel",
        pixel_cnn_pp,
        "Salimans et al. (2017), PixelCNN++: Improving the PixelCNN",
        references.SALIMANS_2017,
        training={"batch_size": 16, "lr_warmup_steps": 100, "schedule": "cosine"},
        tags=("autoregressive", "exact", "images"),
        resolve=resolve_pixel_cnn_pp,
    ),
    Recipe(
        "wavenet",
        "dilated causal convolutions over sound and other long sequences: exact log p",
        wavenet,
        "van den Oord et al. (2016), WaveNet: A Generative Model for Raw Audio",
        references.OORD_2016_WAVENET,
        training={
            "batch_size": 4,
            "learning_rate": 1.5e-3,
            "lr_warmup_steps": 100,
            "schedule": "cosine",
            "clip_norm": 1.0,
            "averaging": 0.995,
        },
        tags=("autoregressive", "exact", "sound"),
        resolve=resolved_wavenet,
    ),
)
