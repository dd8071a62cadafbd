"""The requests of tests/bench/peers.py asked by distilabel, in an environment of its own that peers.py is given.

Prints "ready", then the answers by prompt in one line of JSON. Its cache, which it resumes from, is the folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from datasets import Dataset
from distilabel.models import OpenAILLM  # type: ignore[import-not-found]
from distilabel.pipeline import Pipeline  # type: ignore[import-not-found]
from distilabel.steps.tasks import TextGeneration  # type: ignore[import-not-found]


def main() -> None:
    url, folder, timeout, prompts, at_once, most = sys.argv[1:]
    # Rows as a Dataset: a list of them would be written out with the pipeline after every batch.
    rows = Dataset.from_dict({"instruction": json.loads(Path(prompts).read_text())})
    model = OpenAILLM(
        model="m",
        base_url=url,
        api_key="none",
        timeout=int(timeout),
        generation_kwargs={"max_new_tokens": int(most)},
    )
    with Pipeline(name="peers", cache_dir=folder) as pipeline:
        # It asks a batch at once, and the next when all of it is answered.
        TextGeneration(llm=model, input_batch_size=int(at_once))
    print("ready", flush=True)
    found = pipeline.run(dataset=rows, dataset_batch_size=int(at_once), use_cache=True)["default"]["train"]
    print(json.dumps(dict(zip(found["instruction"], found["generation"], strict=True))), flush=True)


if __name__ == "__main__":
    main()
