"""Find the best setting for a goal: forecast every setting from surveys, then verify a few by real runs."""
