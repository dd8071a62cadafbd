"""Entity resolution over a run's folder: plain functions, each a stage of the flow `batcher`, without Prefect.

settings.py  what a run is told
check.py     the cheap checks before anything starts
records.py   the tables
prepare.py   questions and pool, by blocking or as given; their features; batches and demonstrations
label.py     labels of the demonstrations: out of files, or from a person (form.py: in the Prefect UI)
judge.py     the matcher, the model, and who decides what
finish.py    predictions, explanations, clusters, figures
gates.py     Great Expectations over pairs and predictions
told.py      what the terminal shows
report.py    the page
"""
