"""The benchmark draws many prompts with many settings into a folder: on one machine, in shards, or on Ray."""
