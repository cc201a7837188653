"""The real code's actors, interleaved one store or archive call at a time, by seeds.

`python -m tests.interleaving --seed 7` runs one schedule again and prints what each actor did.
"""
