"""One label for each task out of several answers: the stages of `sluice crowd aggregate` over a run's folder.

settings.py  what a run is told
check.py     the cheap checks before anything starts
stages.py    read, infer, write the tables
judge.py     how right it is, where the truth is known
report.py    the page
"""
