"""Finds the best setting for a goal: it forecasts every setting from surveys, then verifies a few with real
runs.
"""
