"""Training under wrong labels by wrong events (arXiv 2505.00812), over a run's folder.

The algorithm, on arrays:
agreement.py     which epoch of plain training tells right labels from wrong ones best
label_wave.py    when a network begins to learn wrong labels by heart
beta_mixture.py  P(clean) from wrong events: two Beta components, all rows together or each given class for itself
loss.py          the loss of the second stage
warm_up.py       the first stage: plain training that counts wrong events
robust.py        the second stage: training that weighs every row by P(clean)
checkpoint.py    where an interrupted training goes on

The stages of the flow `wrong_event`, without Prefect (rows, networks and the classifier are those of tasks/classify):
settings.py      what a run is told
check.py         the cheap checks before anything starts
stages.py        read, train, train robustly
finish.py        labels.csv, the figures
report.py        the page

Question-answer pairs, where there are no classes:
pairs.py         wrong events of pairs in the training of a student
pair_stages.py   its stages
"""
