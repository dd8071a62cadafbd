"""The crowd: workers who are paid, err, and come and go. A worker is a person or an LLM judge.

answers.py   who said what of which task, as integer codes;  read.py: out of files;  wanted.py: files that people fill in
truth/       what is right, and who is reliable, from answers that differ
assign.py    who is asked what next
cost/        what need not be asked: deduction, pruning, samples; pages and estimates
latency/     how long it takes, in a simulator
tables.py    tables that several operations leave
aggregate/, annotate/, learn/ (classify and learn), cluster/, patterns/, discover/   the stages of the operations
"""
