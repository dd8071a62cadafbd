"""Quad over a run's folder: plain functions, each a stage of the flow `quad`, without Prefect.

settings.py   what a run is told
check.py      the cheap checks before anything starts
curvature.py  the model, its curvature, and the reference's preconditioned gradient
scoring.py    influence of documents, on Dask workers
plan.py       what may be scored and selected, and what the next round does of it
rounds.py     a round, by one of two strategies:
regression.py   documents chosen one by one, by one regression over all
neighbours.py   clusters visited by the paper's bandit
visits.py     documents scored together, and the rows that tables have of them
finish.py     what is selected, tables, figures
students.py   continued pre-training on the selection, judged on held-out examples
report.py     the page
"""
