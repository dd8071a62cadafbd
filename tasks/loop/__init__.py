"""The select-extract-train loop over a run's folder: plain functions, each a stage, without Prefect.

alignment.py the warm-up, the space it gives, clusters and plan (what comes before: tasks/prepare)
rounds.py    choose arms, extract their documents, reward the arms
students.py  the base student, its training in each round, the comparison trainings
influence.py the influence of a round's pairs by the student of that round, if it is the reward
asking.py    the student that has learnt the reference, and says which pairs to keep
compare.py   other strategies on the same corpus and their own budget
judging.py   judges rate the kept pairs, if they are asked for; adjudicate.py what becomes of these
outcome/     what a run leaves: tables, checks, export, summary and report
"""
