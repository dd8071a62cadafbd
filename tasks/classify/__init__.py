"""Classifiers of rows that are texts or numbers: what flows over labels that cannot all be trusted have in common.

table.py       rows with a label, out of the user's file
inputs.py      rows as what a network reads, in two views
networks.py    the networks
training.py    passes over rows: batches, optimiser, steps
classifier.py  a network with what its inputs and outputs mean, at rest and back
"""
