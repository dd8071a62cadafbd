"""What flows do with a corpus before they choose: settings, stages over a run's folder, without Prefect.

settings.py   corpus, examples, encoder, clusters
documents.py  the documents at rest
vectors.py    the encoder's space
student.py    the model: the tiny student, or one that is given
check.py      the cheap checks before anything starts
stages.py     the stages
"""
