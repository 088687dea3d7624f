"""Recipes of models with latent variables, and of the autoencoder, their contrast."""

from __future__ import annotations

from ancestral.estimator import Recipe
from ancestral.recipes import references
from ancestral.recipes.autoencoder import autoencoder
from ancestral.recipes.beta_vae import beta_vae
from ancestral.recipes.conv_vae import conv_vae
from ancestral.recipes.hierarchical_vae import hierarchical_vae
from ancestral.recipes.hvi import hvi
from ancestral.recipes.iaf_vae import iaf_vae
from ancestral.recipes.info_vae import info_vae
from ancestral.recipes.iwae import iwae
from ancestral.recipes.ladder_vae import ladder_vae
from ancestral.recipes.miwae import miwae
from ancestral.recipes.mmd_net import mmd_net
from ancestral.recipes.pixel_vae import pixel_vae
from ancestral.recipes.planar_vae import planar_vae
from ancestral.recipes.ppca import ppca
from ancestral.recipes.renyi_vae import renyi_vae
from ancestral.recipes.semi_amortized_vae import semi_amortized_vae
from ancestral.recipes.sigmoid_belief_net import sigmoid_belief_net
from ancestral.recipes.svi_vae import resolve_svi_vae, svi_vae
from ancestral.recipes.vae import vae
from ancestral.recipes.vamp_vae import vamp_vae
from ancestral.recipes.vlae import vlae
from ancestral.recipes.wae import wae

__all__ = ["LATENT"]

# what the choices of `gradient` are
_BELIEF_NETS = "\n\n".join(
    (
        references.MNIH_2014,
        references.MNIH_2016,
        references.GU_2016,
        references.TUCKER_2017,
        references.GRATHWOHL_2018,
        references.MADDISON_2017,
    )
)
LATENT = (
    Recipe(
        "vae",
        "variational autoencoder, dense networks, data of any kind",
        vae,
        "Kingma & Welling (2014), Auto-Encoding Variational Bayes",
        references.KINGMA_2014,
        tags=("latent",),
    ),
    Recipe(
        "conv_vae",
        "variational autoencoder, convolutional networks, images",
        conv_vae,
        "Salimans, Kingma & Welling (2015), MCMC and Variational Inference, section 5",
        references.SALIMANS_2015,
        tags=("latent", "images"),
    ),
    Recipe(
        "iwae",
        "importance-weighted autoencoder: a tighter bound from several samples",
        iwae,
        "Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders",
        references.IWAE_2016,
        tags=("latent",),
    ),
    Recipe(
        "miwae",
        "importance-weighted autoencoder trained on data with gaps, which it fills in",
        miwae,
        "Mattei & Frellsen (2019), MIWAE: Deep Generative Modelling and Imputation",
        references.MATTEI_2019,
        tags=("latent",),
        training={"learning_rate": 2e-3, "patience": 60},
    ),
    Recipe(
        "renyi_vae",
        "variational autoencoder with a Rényi bound: alpha from the ELBO to VR-max",
        renyi_vae,
        "Li & Turner (2016), Rényi Divergence Variational Inference",
        references.LI_2016,
        tags=("latent",),
    ),
    Recipe(
        "beta_vae",
        "variational autoencoder with another price on the KL, or a capacity for it",
        beta_vae,
        "Higgins et al. (2017), beta-VAE: Learning Basic Visual Concepts",
        references.HIGGINS_2017,
        tags=("latent",),
    ),
    Recipe(
        "info_vae",
        "variational autoencoder whose codes as a whole are matched to the prior",
        info_vae,
        "Zhao, Song & Ermon (2019), InfoVAE: Balancing Learning and Inference",
        references.ZHAO_2019,
        tags=("latent",),
        fewest_rows=2,
    ),
    Recipe(
        "wae",
        "Wasserstein autoencoder: deterministic codes that look like the prior; samples, no bound",
        wae,
        "Tolstikhin et al. (2018), Wasserstein Auto-Encoders",
        f"{references.TOLSTIKHIN_2018}\n\n{references.KOLOURI_2019}",
        tags=("latent", "no bound"),
        fewest_rows=2,
    ),
    Recipe(
        "mmd_net",
        "generator trained by comparing samples with data: no encoder, no bound",
        mmd_net,
        "Dziugaite, Roy & Ghahramani (2015), Training Generative Neural Networks via MMD",
        references.DZIUGAITE_2015,
        tags=("no bound",),
        training={"batch_size": 500},
        fewest_rows=2,
    ),
    Recipe(
        "planar_vae",
        "variational autoencoder whose posterior is folded by planar flows",
        planar_vae,
        "Rezende & Mohamed (2015), Variational Inference with Normalizing Flows",
        f"{references.REZENDE_2015}\n\n{references.ROEDER_2017}",
        tags=("latent",),
    ),
    Recipe(
        "iaf_vae",
        "variational autoencoder whose posterior is an inverse autoregressive flow",
        iaf_vae,
        "Kingma et al. (2016), Improving Variational Inference with Inverse Autoregressive Flow",
        f"{references.KINGMA_2016}\n\n{references.ROEDER_2017}",
        tags=("latent",),
    ),
    Recipe(
        "hierarchical_vae",
        "variational autoencoder with two stochastic layers, inferred from the data up",
        hierarchical_vae,
        "Burda, Grosse & Salakhutdinov (2016), Importance Weighted Autoencoders, section 5",
        references.IWAE_2016,
        tags=("latent",),
    ),
    Recipe(
        "ladder_vae",
        "variational autoencoder with several stochastic layers, inferred from the top down",
        ladder_vae,
        "Sonderby et al. (2016), Ladder Variational Autoencoders",
        references.SONDERBY_2016,
        tags=("latent",),
    ),
    Recipe(
        "vamp_vae",
        "variational autoencoder whose prior is a mixture of posteriors at learnt pseudo-inputs",
        vamp_vae,
        "Tomczak & Welling (2018), VAE with a VampPrior",
        references.TOMCZAK_2018,
        tags=("latent",),
    ),
    Recipe(
        "pixel_vae",
        "variational autoencoder with an autoregressive decoder: PixelCNN or MADE given z",
        pixel_vae,
        "Gulrajani et al. (2017), PixelVAE: A Latent Variable Model for Natural Images",
        references.GULRAJANI_2017,
        training={"batch_size": 32, "schedule": "cosine"},
        tags=("latent", "autoregressive"),
    ),
    Recipe(
        "vlae",
        "lossy autoencoder: a PixelCNN that sees few pixels, and a flow as the prior of z",
        vlae,
        "Chen et al. (2017), Variational Lossy Autoencoder",
        references.CHEN_2017,
        training={"batch_size": 32, "schedule": "cosine"},
        tags=("latent", "autoregressive", "images"),
    ),
    Recipe(
        "sigmoid_belief_net",
        "layers of binary latent variables; VIMCO, NVIL, REINFORCE, REBAR, ... by name",
        sigmoid_belief_net,
        "Mnih & Gregor (2014), Neural Variational Inference and Learning in Belief Networks",
        _BELIEF_NETS,
        tags=("latent",),
        training={"learning_rate": 2e-3},
    ),
    Recipe(
        "ppca",
        "probabilistic principal component analysis: exact log p, closed-form fit",
        ppca,
        "Tipping & Bishop (1999), Probabilistic Principal Component Analysis",
        references.TIPPING_1999,
        tags=("latent", "exact"),
    ),
    Recipe(
        "autoencoder",
        "plain autoencoder: embeds and reconstructs; no log p, no samples",
        autoencoder,
        "Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data",
        references.HINTON_2006,
        tags=("no likelihood",),
    ),
    Recipe(
        "hvi",
        "vae whose posterior follows learnt leapfrog steps on p(x, z)",
        hvi,
        "Salimans, Kingma & Welling (2015), Markov Chain Monte Carlo and Variational Inference",
        references.SALIMANS_2015,
        tags=("latent",),
        # gradients of gradients overflow now and then; ordinary ones are far below this norm
        training={"clip_norm": 1000.0},
    ),
    Recipe(
        "svi_vae",
        "the decoder of vae with a Gaussian of its own for each datum, and no encoder",
        svi_vae,
        "Hoffman, Blei, Wang & Paisley (2013), Stochastic Variational Inference",
        references.HOFFMAN_2013,
        tags=("latent",),
        resolve=resolve_svi_vae,
    ),
    Recipe(
        "semi_amortized_vae",
        "vae whose posterior is refined for each datum by gradient steps",
        semi_amortized_vae,
        "Kim, Wiseman, Miller, Sontag & Rush (2018), Semi-Amortized Variational Autoencoders",
        references.KIM_2018,
        tags=("latent",),
        # gradients of gradients overflow now and then; ordinary ones are far below this norm
        training={"clip_norm": 1000.0},
    ),
)
