"""How the embedded model of `assets/tiny_flux` was made: pictures, latent, pipeline, training, evaluation,
card.
"""
