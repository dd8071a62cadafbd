"""The crowd: workers who are paid, err, and come and go. A worker is a person or an LLM judge.

answers.py  who said what of which task, as integer codes
read.py     tables of answers and of known labels
truth/      what is right, from answers that differ
aggregate/  the stages of `sluice crowd aggregate`
learn/      what is right by answers and features, classifiers; the stages of `sluice crowd classify` and `learn`
cost/       what need not be asked of pairs, and what the rest costs
cluster/    records that mean the same, by asking about pairs
"""
