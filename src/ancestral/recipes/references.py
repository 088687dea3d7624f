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
