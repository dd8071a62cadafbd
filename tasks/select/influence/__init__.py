"""Influence of documents on a reference set: EK-FAC of the Fisher of some layers, preconditioned once, candidates streamed past.

layers.py   which linear layers of a causal language model take part
capture.py  a layer's inputs and output gradients, during a forward and a backward pass that makes no weight gradient
factors.py  EK-FAC factors: made, saved, loaded
scores.py   the reference's preconditioned gradient, and the score of each candidate beside it
reward.py   what the pairs of an arm do for the reference
"""
