"""Truth inference: what is right, and who is reliable, from answers that differ ("Truth Inference in Crowdsourcing", VLDB 2017).

inferred.py     what every method gives, and fit_predict over tables of (task, worker, label)
majority.py     votes (MV)
one_coin.py     a reliability per worker (ZC)
dawid_skene.py  a confusion matrix per worker (D&S; LFC, with prior counts)
collapsed.py    the same, each answer weighed by its worker's others and by the crowd (CVB)
glad.py         a reliability per worker and an easiness per task (GLAD)
weighted.py     votes weighted by what the worker got wrong (PM, CATD)
mace.py         who guesses, and how (MACE)
numeric.py      answers that are numbers (mean, median, LFC_N, PM, CATD)
agreement.py    how far workers agree, who answers without looking, whom to leave out
methods.py      all of them by name
"""
