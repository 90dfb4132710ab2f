"""How the few-step LoRAs of `assets/tiny_lightning` were made from the embedded model."""
