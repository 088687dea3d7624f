"""BibTeX of the papers behind the recipes."""

__all__ = ["HINTON_2006", "IWAE_2016", "KINGMA_2014", "SALIMANS_2015", "TIPPING_1999"]

KINGMA_2014 = """@inproceedings{kingma2014auto,
  title     = {Auto-Encoding Variational {Bayes}},
  author    = {Kingma, Diederik P. and Welling, Max},
  booktitle = {International Conference on Learning Representations},
  year      = {2014},
  url       = {https://arxiv.org/abs/1312.6114}
}"""

IWAE_2016 = """@inproceedings{burda2016importance,
  title     = {Importance Weighted Autoencoders},
  author    = {Burda, Yuri and Grosse, Roger and Salakhutdinov, Ruslan},
  booktitle = {International Conference on Learning Representations},
  year      = {2016},
  url       = {https://arxiv.org/abs/1509.00519}
}"""

SALIMANS_2015 = """@inproceedings{salimans2015markov,
  title     = {{Markov} Chain {Monte Carlo} and Variational Inference: Bridging the Gap},
  author    = {Salimans, Tim and Kingma, Diederik P. and Welling, Max},
  booktitle = {International Conference on Machine Learning},
  year      = {2015},
  url       = {https://arxiv.org/abs/1410.6460}
}"""

TIPPING_1999 = """@article{tipping1999probabilistic,
  title   = {Probabilistic Principal Component Analysis},
  author  = {Tipping, Michael E. and Bishop, Christopher M.},
  journal = {Journal of the Royal Statistical Society: Series B},
  volume  = {61},
  number  = {3},
  pages   = {611--622},
  year    = {1999}
}"""

HINTON_2006 = """@article{hinton2006reducing,
  title   = {Reducing the Dimensionality of Data with Neural Networks},
  author  = {Hinton, Geoffrey E. and Salakhutdinov, Ruslan R.},
  journal = {Science},
  volume  = {313},
  number  = {5786},
  pages   = {504--507},
  year    = {2006}
}"""

NEAL_1992 = """@article{neal1992connectionist,
  title   = {Connectionist Learning of Belief Networks},
  author  = {Neal, Radford M.},
  journal = {Artificial Intelligence},
  volume  = {56},
  number  = {1},
  pages   = {71--113},
  year    = {1992}
}"""

FREY_1998 = """@book{frey1998graphical,
  title     = {Graphical Models for Machine Learning and Digital Communication},
  author    = {Frey, Brendan J.},
  publisher = {MIT Press},
  year      = {1998}
}"""

CHOW_1968 = """@article{chow1968approximating,
  title   = {Approximating Discrete Probability Distributions with Dependence Trees},
  author  = {Chow, C. K. and Liu, C. N.},
  journal = {IEEE Transactions on Information Theory},
  volume  = {14},
  number  = {3},
  pages   = {462--467},
  year    = {1968}
}"""

HECKERMAN_1995 = """@article{heckerman1995learning,
  title   = {Learning {Bayesian} Networks: The Combination of Knowledge and Statistical Data},
  author  = {Heckerman, David and Geiger, Dan and Chickering, David M.},
  journal = {Machine Learning},
  volume  = {20},
  number  = {3},
  pages   = {197--243},
  year    = {1995}
}"""

GRAVES_2013 = """@article{graves2013generating,
  title   = {Generating Sequences With Recurrent Neural Networks},
  author  = {Graves, Alex},
  journal = {arXiv preprint arXiv:1308.0850},
  year    = {2013},
  url     = {https://arxiv.org/abs/1308.0850}
}"""

VASWANI_2017 = """@inproceedings{vaswani2017attention,
  title     = {Attention Is All You Need},
  author    = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and
               Jones, Llion and Gomez, Aidan N. and Kaiser, {\\L}ukasz and Polosukhin, Illia},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017},
  url       = {https://arxiv.org/abs/1706.03762}
}"""

LAROCHELLE_2011 = """@inproceedings{larochelle2011neural,
  title     = {The Neural Autoregressive Distribution Estimator},
  author    = {Larochelle, Hugo and Murray, Iain},
  booktitle = {International Conference on Artificial Intelligence and Statistics},
  year      = {2011}
}"""

URIA_2013 = """@inproceedings{uria2013rnade,
  title     = {{RNADE}: The Real-Valued Neural Autoregressive Density-Estimator},
  author    = {Uria, Benigno and Murray, Iain and Larochelle, Hugo},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2013},
  url       = {https://arxiv.org/abs/1306.0186}
}"""

URIA_2014 = """@inproceedings{uria2014deep,
  title     = {A Deep and Tractable Density Estimator},
  author    = {Uria, Benigno and Murray, Iain and Larochelle, Hugo},
  booktitle = {International Conference on Machine Learning},
  year      = {2014},
  url       = {https://arxiv.org/abs/1310.1757}
}"""

OORD_2016A = """@inproceedings{oord2016pixel,
  title     = {Pixel Recurrent Neural Networks},
  author    = {van den Oord, A{\\"a}ron and Kalchbrenner, Nal and Kavukcuoglu, Koray},
  booktitle = {International Conference on Machine Learning},
  year      = {2016},
  url       = {https://arxiv.org/abs/1601.06759}
}"""

OORD_2016B = """@inproceedings{oord2016conditional,
  title     = {Conditional Image Generation with {PixelCNN} Decoders},
  author    = {van den Oord, A{\\"a}ron and Kalchbrenner, Nal and Vinyals, Oriol and
               Espeholt, Lasse and Graves, Alex and Kavukcuoglu, Koray},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2016},
  url       = {https://arxiv.org/abs/1606.05328}
}"""

OORD_2016_WAVENET = """@article{oord2016wavenet,
  title   = {{WaveNet}: A Generative Model for Raw Audio},
  author  = {van den Oord, A{\\"a}ron and Dieleman, Sander and Zen, Heiga and Simonyan, Karen and
             Vinyals, Oriol and Graves, Alex and Kalchbrenner, Nal and Senior, Andrew and
             Kavukcuoglu, Koray},
  journal = {arXiv preprint arXiv:1609.03499},
  year    = {2016},
  url     = {https://arxiv.org/abs/1609.03499}
}"""

GERMAIN_2015 = """@inproceedings{germain2015made,
  title     = {{MADE}: Masked Autoencoder for Distribution Estimation},
  author    = {Germain, Mathieu and Gregor, Karol and Murray, Iain and Larochelle, Hugo},
  booktitle = {International Conference on Machine Learning},
  year      = {2015},
  url       = {https://arxiv.org/abs/1502.03509}
}"""

SALIMANS_2017 = """@inproceedings{salimans2017pixelcnn,
  title     = {{PixelCNN++}: Improving the {PixelCNN} with Discretized Logistic Mixture Likelihood
               and Other Modifications},
  author    = {Salimans, Tim and Karpathy, Andrej and Chen, Xi and Kingma, Diederik P.},
  booktitle = {International Conference on Learning Representations},
  year      = {2017},
  url       = {https://arxiv.org/abs/1701.05517}
}"""

LI_2016 = """@inproceedings{li2016renyi,
  title     = {{R\\'enyi} Divergence Variational Inference},
  author    = {Li, Yingzhen and Turner, Richard E.},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2016},
  url       = {https://arxiv.org/abs/1602.02311}
}"""

HIGGINS_2017 = """@inproceedings{higgins2017beta,
  title     = {beta-{VAE}: Learning Basic Visual Concepts with a Constrained Variational
               Framework},
  author    = {Higgins, Irina and Matthey, Loic and Pal, Arka and Burgess, Christopher and
               Glorot, Xavier and Botvinick, Matthew and Mohamed, Shakir and Lerchner, Alexander},
  booktitle = {International Conference on Learning Representations},
  year      = {2017}
}"""

ZHAO_2019 = """@inproceedings{zhao2019infovae,
  title     = {{InfoVAE}: Balancing Learning and Inference in Variational Autoencoders},
  author    = {Zhao, Shengjia and Song, Jiaming and Ermon, Stefano},
  booktitle = {AAAI Conference on Artificial Intelligence},
  year      = {2019},
  url       = {https://arxiv.org/abs/1706.02262}
}"""

TOLSTIKHIN_2018 = """@inproceedings{tolstikhin2018wasserstein,
  title     = {{Wasserstein} Auto-Encoders},
  author    = {Tolstikhin, Ilya and Bousquet, Olivier and Gelly, Sylvain and
               Sch{\\"o}lkopf, Bernhard},
  booktitle = {International Conference on Learning Representations},
  year      = {2018},
  url       = {https://arxiv.org/abs/1711.01558}
}"""

DZIUGAITE_2015 = """@inproceedings{dziugaite2015training,
  title     = {Training Generative Neural Networks via Maximum Mean Discrepancy Optimization},
  author    = {Dziugaite, Gintare Karolina and Roy, Daniel M. and Ghahramani, Zoubin},
  booktitle = {Conference on Uncertainty in Artificial Intelligence},
  year      = {2015},
  url       = {https://arxiv.org/abs/1505.03906}
}"""

REZENDE_2015 = """@inproceedings{rezende2015variational,
  title     = {Variational Inference with Normalizing Flows},
  author    = {Rezende, Danilo Jimenez and Mohamed, Shakir},
  booktitle = {International Conference on Machine Learning},
  year      = {2015},
  url       = {https://arxiv.org/abs/1505.05770}
}"""

KINGMA_2016 = """@inproceedings{kingma2016improving,
  title     = {Improving Variational Inference with Inverse Autoregressive Flow},
  author    = {Kingma, Diederik P. and Salimans, Tim and Jozefowicz, Rafal and Chen, Xi and
               Sutskever, Ilya and Welling, Max},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2016},
  url       = {https://arxiv.org/abs/1606.04934}
}"""

KIM_2018 = """@inproceedings{kim2018semi,
  title     = {Semi-Amortized Variational Autoencoders},
  author    = {Kim, Yoon and Wiseman, Sam and Miller, Andrew C. and Sontag, David and Rush,
               Alexander M.},
  booktitle = {International Conference on Machine Learning},
  year      = {2018},
  url       = {https://arxiv.org/abs/1802.02550}
}"""

HOFFMAN_2013 = """@article{hoffman2013stochastic,
  title   = {Stochastic Variational Inference},
  author  = {Hoffman, Matthew D. and Blei, David M. and Wang, Chong and Paisley, John},
  journal = {Journal of Machine Learning Research},
  volume  = {14},
  year    = {2013},
  url     = {https://arxiv.org/abs/1206.7051}
}"""

GULRAJANI_2017 = """@inproceedings{gulrajani2017pixelvae,
  title     = {{PixelVAE}: A Latent Variable Model for Natural Images},
  author    = {Gulrajani, Ishaan and Kumar, Kundan and Ahmed, Faruk and Ali Taiga, Adrien and
               Visin, Francesco and Vazquez, David and Courville, Aaron},
  booktitle = {International Conference on Learning Representations},
  year      = {2017},
  url       = {https://arxiv.org/abs/1611.05013}
}"""

CHEN_2017 = """@inproceedings{chen2017variational,
  title     = {Variational Lossy Autoencoder},
  author    = {Chen, Xi and Kingma, Diederik P. and Salimans, Tim and Duan, Yan and
               Dhariwal, Prafulla and Schulman, John and Sutskever, Ilya and Abbeel, Pieter},
  booktitle = {International Conference on Learning Representations},
  year      = {2017},
  url       = {https://arxiv.org/abs/1611.02731}
}"""

TOMCZAK_2018 = """@inproceedings{tomczak2018vampprior,
  title     = {{VAE} with a {VampPrior}},
  author    = {Tomczak, Jakub M. and Welling, Max},
  booktitle = {International Conference on Artificial Intelligence and Statistics},
  year      = {2018},
  url       = {https://arxiv.org/abs/1705.07120}
}"""

SONDERBY_2016 = """@inproceedings{sonderby2016ladder,
  title     = {Ladder Variational Autoencoders},
  author    = {S{\\o}nderby, Casper Kaae and Raiko, Tapani and Maal{\\o}e, Lars and
               S{\\o}nderby, S{\\o}ren Kaae and Winther, Ole},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2016},
  url       = {https://arxiv.org/abs/1602.02282}
}"""

MNIH_2014 = """@inproceedings{mnih2014neural,
  title     = {Neural Variational Inference and Learning in Belief Networks},
  author    = {Mnih, Andriy and Gregor, Karol},
  booktitle = {International Conference on Machine Learning},
  year      = {2014},
  url       = {https://arxiv.org/abs/1402.0030}
}"""

ROEDER_2017 = """@inproceedings{roeder2017sticking,
  title     = {Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational
               Inference},
  author    = {Roeder, Geoffrey and Wu, Yuhuai and Duvenaud, David},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017},
  url       = {https://arxiv.org/abs/1703.09194}
}"""

MNIH_2016 = """@inproceedings{mnih2016variational,
  title     = {Variational Inference for {Monte Carlo} Objectives},
  author    = {Mnih, Andriy and Rezende, Danilo Jimenez},
  booktitle = {International Conference on Machine Learning},
  year      = {2016},
  url       = {https://arxiv.org/abs/1602.06725}
}"""

GU_2016 = """@inproceedings{gu2016muprop,
  title     = {{MuProp}: Unbiased Backpropagation for Stochastic Neural Networks},
  author    = {Gu, Shixiang and Levine, Sergey and Sutskever, Ilya and Mnih, Andriy},
  booktitle = {International Conference on Learning Representations},
  year      = {2016},
  url       = {https://arxiv.org/abs/1511.05176}
}"""

MADDISON_2017 = """@inproceedings{maddison2017concrete,
  title     = {The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables},
  author    = {Maddison, Chris J. and Mnih, Andriy and Teh, Yee Whye},
  booktitle = {International Conference on Learning Representations},
  year      = {2017},
  url       = {https://arxiv.org/abs/1611.00712}
}"""

TUCKER_2017 = """@inproceedings{tucker2017rebar,
  title     = {{REBAR}: Low-Variance, Unbiased Gradient Estimates for Discrete Latent Variable
               Models},
  author    = {Tucker, George and Mnih, Andriy and Maddison, Chris J. and Lawson, Dieterich and
               Sohl-Dickstein, Jascha},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017},
  url       = {https://arxiv.org/abs/1703.07370}
}"""

GRATHWOHL_2018 = """@inproceedings{grathwohl2018backpropagation,
  title     = {Backpropagation through the Void: Optimizing Control Variates for Black-Box Gradient
               Estimation},
  author    = {Grathwohl, Will and Choi, Dami and Wu, Yuhuai and Roeder, Geoffrey and Duvenaud,
               David},
  booktitle = {International Conference on Learning Representations},
  year      = {2018},
  url       = {https://arxiv.org/abs/1711.00123}
}"""

KOLOURI_2019 = """@inproceedings{kolouri2019sliced,
  title     = {Sliced {Wasserstein} Auto-Encoders},
  author    = {Kolouri, Soheil and Pope, Phillip E. and Martin, Charles E. and Rohde, Gustavo K.},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  url       = {https://arxiv.org/abs/1804.01947}
}"""

MATTEI_2019 = """@inproceedings{mattei2019miwae,
  title     = {{MIWAE}: Deep Generative Modelling and Imputation of Incomplete Data Sets},
  author    = {Mattei, Pierre-Alexandre and Frellsen, Jes},
  booktitle = {International Conference on Machine Learning},
  year      = {2019},
  url       = {https://arxiv.org/abs/1812.02633}
}"""
