"""Quad over a run's folder: plain functions, each a stage of the flow `quad`, without Prefect.

settings.py   what a run is told
check.py      the cheap checks before anything starts
curvature.py  the model, its curvature, and the reference's preconditioned gradient
scoring.py    influence of documents, on Dask workers
rounds.py     visits: clusters are chosen, a block of each is scored, and bought or not
finish.py     what is selected, tables, figures
students.py   continued pre-training on the selection, judged on held-out examples
report.py     the page
"""
