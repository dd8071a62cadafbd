"""An annotation campaign over a run's folder: the stages of `sluice crowd annotate`, plain functions without Prefect.

settings.py    what a run is told
check.py       the cheap checks before anything starts
items.py       what is to be labelled, what is known of it, files of answers
store.py       answers, skips and leases at rest
belief.py      what is believed of items and annotators, by the answers so far
worker.py      what is known of an annotator, when one is given a golden item
campaign.py    which items want answers, who may be given which
rounds.py      a round of answers, by whoever gives them:
page.py          people on a page of this machine (desk.html.j2, page.js, page.css)
files.py         people elsewhere, in files
judges.py        language models
replay.py        a recording
adjudicate.py  the disputed few, in a form of the Prefect UI
finish.py      tables, figures, checks
told.py        what the terminal shows
report.py      the page
"""
