"""Parts that several drawn components share: how one is made, and JSON shapes found in several values."""
