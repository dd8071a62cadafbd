"""Clusters of records that mean the same, by asking the crowd about pairs.

plan.py      who is asked about what: prune, then a method, then refine, then audit
pivot.py     crowd-pivot correlation clustering
refine.py    split and merge where that is expected to pay
