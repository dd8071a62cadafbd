"""Cost control for questions about pairs: what need not be asked, and what the rest costs. Plain functions.

pairs.py      candidate pairs, and plans: what to ask next, given what was answered
deduction.py  what follows from answers by transitivity
pruning.py    what the machine score decides
sampling.py   proportions from a sample, with an interval; how large it must be
pages.py      pairs that share records on one page
estimate.py   what a plan will cost
"""
