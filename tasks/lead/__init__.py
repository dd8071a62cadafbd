"""LEAD over a run's folder: plain functions, each a stage of the flow `lead`, without Prefect.

settings.py    what a run is told
check.py       the cheap checks before anything starts
pool.py        the examples to choose from, their vectors, the model
difficulty.py  the one look at every example before training, and the clusters
steps.py       a training step that also watches its examples
rounds.py      clusters are drawn, examples of theirs are trained on, the bandit is told
checkpoint.py  what a round goes on from
finish.py      what was selected, the judgement, tables, figures
report.py      the page
"""
