"""Prompts x settings -> pictures and a table on disk, resumable: on this machine, in shards, or on a Ray
cluster.
"""
