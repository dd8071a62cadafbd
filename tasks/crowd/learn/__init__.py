"""Classifiers from answers that differ: items have features, and what workers say is weighed with them.

The algorithm, on arrays:
problem.py      items with features, some of which workers answered; what a method learns of them
network.py      a small network on labels that are probabilities, and what it says of rows it has not seen
crowd_layer.py  a network under a matrix for each worker
joint.py        a classifier and confusion matrices in turns
crowdlab.py     CROWDLAB, by cleanlab
unlabelled.py   items that nobody answered, to train on
prior.py        what another campaign knew of the workers
methods.py      all of them by name; the network for other items; how unsure each item is

The stages of the flows `sluice crowd classify` (labels for the items at hand) and `sluice crowd learn` (a model for others), which
have all but the last in common, without Prefect:
settings.py     what a run is told
check.py        the cheap checks before anything starts
stages.py       read, learn, train the baselines
finish.py       tables, judging, the figures
report.py       the page
"""
