"""Clusters of records that mean the same, by asking the crowd about pairs: the stages of `sluice crowd cluster`.

settings.py  what a run is told
check.py     the cheap checks before anything starts
read.py      pairs, answers, confusion matrices and truth, out of files
records.py   the pairs and records of a run
plan.py      who is asked about what: prune, cluster, refine, audit
pivot.py     crowd-pivot correlation clustering
refine.py    split and merge where that is expected to pay
crowd.py     answers and what they say together; a simulated crowd
people.py    recorded answers, and those that people fill in
models.py    answers of language models
rounds.py    the plan carried out, round by round
stages.py    read, estimate, write what was answered
finish.py    tables, figures, checks
report.py    the page
"""
