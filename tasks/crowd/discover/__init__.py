"""Entity collection: which things there are, as people name them, and how many nobody has named yet.

settings.py  what a run is told
check.py     the cheap checks before anything starts
entities.py  names folded to entities
estimate.py  how many there are, what share is known (Chao and Lee 1992)
collect.py   answers one after the other, the curve, the rule that stops
stages.py    read, collect, write the tables
report.py    the page
"""
