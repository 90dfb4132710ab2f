"""The best setting for a goal: every setting is judged from surveys, a few are verified by real runs."""
