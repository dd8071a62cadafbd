"""The requests of tests/bench/peers.py asked by bespokelabs-curator, in an environment of its own that peers.py is given.

Prints "ready", then the answers by prompt in one line of JSON. Its cache, which it resumes from, is the folder.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import litellm  # type: ignore[import-not-found]
from bespokelabs import curator  # type: ignore[import-not-found]

# It counts tokens by a file that it would fetch; litellm, which it brings along, holds the same.
os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.__file__).parent / "litellm_core_utils" / "tokenizers")


class Asking(curator.LLM):  # type: ignore[misc]
    def prompt(self, row: dict[str, str]) -> str:
        return row["prompt"]

    def parse(self, row: dict[str, str], response: str) -> dict[str, str]:
        return {"prompt": row["prompt"], "answer": response}


def main() -> None:
    url, folder, timeout, prompts, at_once, most = sys.argv[1:]
    rows = [{"prompt": prompt} for prompt in json.loads(Path(prompts).read_text())]
    model = Asking(
        model_name="m",
        backend="openai",  # speaks HTTP by aiohttp itself, not through litellm
        generation_params={"max_tokens": int(most)},
        backend_params={
            "base_url": url,
            "api_key": "none",
            "max_concurrent_requests": int(at_once),
            # Where it is told nothing, it keeps to a guess at the server's limits.
            "max_requests_per_minute": 10**9,
            "max_tokens_per_minute": 10**12,
            "request_timeout": int(timeout),
            "seconds_to_pause_on_rate_limit": 1,  # the least that it takes
            "require_all_responses": False,
        },
    )
    print("ready", flush=True)
    found = model(rows, working_dir=folder).dataset
    print(json.dumps(dict(zip(found["prompt"], found["answer"], strict=True))), flush=True)


if __name__ == "__main__":
    main()
