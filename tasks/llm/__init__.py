"""One way to talk to a language model: requests that are paid for once, within a budget, and answers that are checked.

request.py   what is asked, and what comes back
endpoint.py  who answers: an OpenAI-compatible server, or a model of this machine (local.py)
store.py     replies at rest, and who is asking what at what price
ask.py       asks, with retries, limits and a shared cool-down
batched.py   asks through files for a batch API: their lines (batchfile.py), their folder (batchfolder.py)
ladder.py    many questions in one request; what does not parse is asked again, in halves
form.py      questions as prompts, answers as records: schema, plain JSON, indexed text
verdict.py   whether two records mean the same: a form that several flows ask with
untrusted.py texts of documents in a prompt, marked off from what the prompt says
"""
