"""How long a crowd takes: a model of its workers, a simulator, and what shortens the wait.

workers.py    how long workers take for a task, fitted to recorded times
simulate.py   a pool of workers at a list of tasks, event by event: rounds, straggler mitigation, pool maintenance
retainer.py   how many workers to keep waiting (Erlang's loss formula)
forecast.py   when all tasks will be done, with an interval
times.py      recorded times out of a file
settings.py, check.py, stages.py, report.py   `sluice crowd latency` over a run's folder
"""
