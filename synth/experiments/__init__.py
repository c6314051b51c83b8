"""Experiments as files: which sets train which readers, which tests measure them.

An experiment is a TOML file (`synth.experiments.definition`): sets that are made or read,
conditions that train on them, seeds, tests with measures. `run_experiment` carries it out
step by step, each with a folder of its own that is not made twice; `write_report` makes the
page and its figures from the tables alone.
"""
