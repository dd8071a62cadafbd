"""Association rules from people: what goes with what, asked of those who do it (Amsterdamer et al., "Crowd Mining", SIGMOD 2013).

settings.py      what a run is told
check.py         the cheap checks before anything starts
rules.py         a rule and its neighbours
transactions.py  what simulated workers did; the truly significant rules
estimate.py      how sure a rule is, what an answer would change
miner.py         which rules are known, what to ask next
crowd.py         who answers: simulated workers, recorded answers
people.py        who answers: people, in a file
given.py         answers, rules and occasions in files
stages.py        read, ask, decide, write the tables (log.py: what they say)
finish.py        how right the rules are, checks, figures
report.py        the page
"""
