"""Comparisons: which differences between runs are real, and which of them matter.

significance   a difference and its standard error: better, worse, same, inconclusive, no error bar
measured       what the store knows of one run: measurements a seed block, and the protocol they are of
protocols      which part of two protocols differs
differences    differences of two runs, paired by image where that is known
compare        two runs by name
ties           ranks of a leaderboard: runs of one rank are not told apart, and neighbouring ranks may be tied too
baselines      earlier results: a folder, a Parquet file of records, a git revision
gates          a suite's gates against a baseline
"""
