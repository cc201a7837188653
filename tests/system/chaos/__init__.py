"""The whole project as real processes, a seeded nemesis that hurts them, people who wait, and a
checker of what was seen: `python -m tests.system.chaos --seed 7 --seconds 240`.
"""
