"""The crowd: workers who are paid, err, and come and go. A worker is a person or an LLM judge.

answers.py  who said what of which task, as integer codes
truth/      what is right, from answers that differ
cost/       what need not be asked of pairs, and what the rest costs
cluster/    records that mean the same, by asking about pairs
"""
