"""Settings of the EQUAL flow: the form in the UI, the flags of `sluice equal`, and the run's settings.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tasks.llm.settings import ModelSettings
from tasks.run.settings import group

Strategy = Literal[
    "random",
    "everything",
    "mean-similarity",
    "dsir",
    "nearest-cluster",
    "tsds",
    "linucb",
    "ucb",
    "ucb-paper",
    "ucb-prior",
    "thompson",
]

_CORPUS = group("Corpus")
_TARGET = group("Target")
_BUDGET = group("Budget")
_SELECT = group("Select")
_EXTRACT = group("Extract")
_TRAIN = group("Train")


class EqualSettings(ModelSettings):
    """Find the training data worth paying for: read what promises most, keep the pairs that serve the target, train, repeat."""

    # --- corpus
    corpus: Annotated[list[str], Field(min_length=1, json_schema_extra=_CORPUS)]
    """JSONL(.gz), Parquet or CSV files, folders of .txt, .md and .html, hf:NAME or a saved dataset's folder, or
    python:PACKAGE,... for the docstrings of installed packages."""

    text_field: Annotated[str, Field(min_length=1, json_schema_extra=_CORPUS)] = "text"
    """Field or column that holds the text."""

    id_field: Annotated[str, Field(min_length=1, json_schema_extra=_CORPUS)] = "id"
    """Field or column that holds a unique id; file and line number where a record has none."""

    source_field: Annotated[str, Field(json_schema_extra=_CORPUS)] = "source"
    """Field or column that says where a document is from; shown in reports, never used to select."""

    hf_split: Annotated[str, Field(json_schema_extra=_CORPUS)] = "train"
    """Split of a Hugging Face dataset."""

    corpus_share: Annotated[float, Field(gt=0, le=1, json_schema_extra=_CORPUS)] = 1.0
    """Share of the corpus to use, drawn by hash of the id: to try things on a sample first."""

    exclude: Annotated[list[str], Field(json_schema_extra=_CORPUS)] = []
    """Ids to leave out, with * and ? as wildcards."""

    min_characters: Annotated[int, Field(ge=1, json_schema_extra=_CORPUS)] = 40
    """Documents shorter than this (characters) are dropped."""

    max_tokens: Annotated[int, Field(ge=64, json_schema_extra=_CORPUS)] = 4096
    """Documents longer than this (tokens) are split at headings, paragraphs, then lines."""

    near_duplicates: Annotated[float, Field(gt=0, le=1, json_schema_extra=_CORPUS)] = 0.8
    """Jaccard similarity of 5-word shingles above which a document is a near duplicate; 1 keeps them all."""

    decontamination_ngram: Annotated[int, Field(ge=4, le=50, json_schema_extra=_CORPUS)] = 13
    """A document that shares this many consecutive words with the test part is dropped."""

    max_broken: Annotated[float, Field(ge=0, le=1, json_schema_extra=_CORPUS)] = 0.01
    """Share of unreadable records above which the run stops instead of counting them."""

    # --- target
    target: Annotated[str, Field(min_length=1, json_schema_extra=_TARGET)]
    """Examples of the task, with a question and an answer each: JSONL, CSV or Parquet, or doctest:MODULE,..."""

    test: Annotated[str, Field(json_schema_extra=_TARGET)] = ""
    """Examples that judge the result, never seen by the selection; without it a part of the target judges."""

    test_share: Annotated[float, Field(gt=0, lt=1, json_schema_extra=_TARGET)] = 0.5
    """Share of the target that judges when no test file is given."""

    question_field: Annotated[str, Field(min_length=1, json_schema_extra=_TARGET)] = "question"
    """Field or column of a target's question."""

    answer_field: Annotated[str, Field(min_length=1, json_schema_extra=_TARGET)] = "answer"
    """Field or column of a target's answer."""

    # --- budget
    budget: Annotated[float, Field(gt=0, le=1, json_schema_extra=_BUDGET)] = 0.05
    """Share of the documents that may be handed to the extractor, the warm-up among them."""

    price: Annotated[float, Field(ge=0, json_schema_extra=_BUDGET)] = 1.0
    """Price of a million document tokens handed to the rules, in US dollars. They cost nothing; this shows what a model
    would. With --extractor llm the cost is what was paid, at price_input and price_output."""

    warmup: Annotated[float, Field(ge=0, lt=1, json_schema_extra=_BUDGET)] = 0.1
    """Share of the budget spent on random documents first (ucb, ucb-paper, ucb-prior and thompson only)."""

    rounds: Annotated[int, Field(ge=1, le=1000, json_schema_extra=_BUDGET)] = 12
    """Rounds of select, extract, train over which the budget is spread."""

    # --- select
    strategy: Annotated[Strategy, Field(json_schema_extra=_SELECT)] = "linucb"
    """How documents or clusters are chosen. 'everything' reads the whole corpus whatever the budget."""

    keep: Annotated[float | None, Field(gt=0, le=1, json_schema_extra=_SELECT)] = None
    """Share of the extracted pairs to keep: of the half nearest to the reference by transport (of as many as are kept,
    if more) those that teach the student most; without a student the nearest. No more are kept than `epochs` passes of
    train_tokens hold. By default a quarter with linucb, with train_tokens what they hold, half at most; the others keep all."""

    alpha: Annotated[float, Field(ge=0, json_schema_extra=_SELECT)] = 0.05
    """Weight of the exploration bonus of ucb and ucb-prior, in units of reward; its noise for thompson."""

    documents_per_pull: Annotated[int | None, Field(ge=1, json_schema_extra=_SELECT)] = None
    """Documents read at each pull of an arm; by default so that half the budget would pull every arm once, 1 to 16.
    linucb chooses documents one by one."""

    reward: Annotated[Literal["transport", "similarity"], Field(json_schema_extra=_SELECT)] = "transport"
    """Reward of an arm: 1 - optimal transport cost between its pairs and the reference, or mean similarity.
    linucb learns from documents' gains instead, and an arm's reward is only reported."""

    clusters: Annotated[int | None, Field(ge=1, json_schema_extra=_SELECT)] = None
    """Number of clusters; by default the square root of half the number of documents."""

    encoder: Annotated[str, Field(min_length=1, json_schema_extra=_SELECT)] = "lsa"
    """'lsa', or name or path of a transformers encoder, as BAAI/bge-small-en-v1.5."""

    encoder_dimensions: Annotated[int, Field(ge=2, le=4096, json_schema_extra=_SELECT)] = 256
    """Dimensions of the LSA vectors."""

    encoder_max_tokens: Annotated[int, Field(ge=8, json_schema_extra=_SELECT)] = 256
    """A transformers encoder reads this many tokens of a text."""

    align: Annotated[Literal["none", "linear", "full"], Field(json_schema_extra=_SELECT)] = "linear"
    """Contrastive alignment on the warm-up's (document, pair): a linear head, or the whole encoder.
    Nothing is aligned without a warm-up."""

    align_temperature: Annotated[float, Field(gt=0, json_schema_extra=_SELECT)] = 1.0
    """Temperature of the contrastive loss; 1 as the paper prints it."""

    # --- extract
    extractor: Annotated[Literal["rules", "llm"], Field(json_schema_extra=_EXTRACT)] = "rules"
    """What turns a document into question-answer pairs: rules over explicit structure, or a language model (--model)."""

    refine: Annotated[bool, Field(json_schema_extra=_EXTRACT)] = True
    """Let the model check and mend its pairs once: their format, missing answers, mismatches."""

    documents_per_request: Annotated[int, Field(ge=1, le=64, json_schema_extra=_EXTRACT)] = 8
    """Documents that the model is asked about at once, where they are short."""

    tokens_per_request: Annotated[int, Field(ge=64, json_schema_extra=_EXTRACT)] = 3000
    """Tokens of the documents that the model is asked about at once; a longer document goes alone."""

    min_answer_characters: Annotated[int, Field(ge=1, json_schema_extra=_EXTRACT)] = 1
    """Pairs with a shorter answer are dropped."""

    max_pairs_per_document: Annotated[int, Field(ge=1, json_schema_extra=_EXTRACT)] = 64
    """Pairs kept of one document, the first ones."""

    # --- train
    train: Annotated[Literal["rounds", "end", "never"], Field(json_schema_extra=_TRAIN)] = "rounds"
    """When the student is trained."""

    student: Annotated[str, Field(min_length=1, json_schema_extra=_TRAIN)] = "tiny"
    """'tiny' (a small Llama made and pre-trained here on the corpus), or name or path of a causal language model."""

    lora: Annotated[bool, Field(json_schema_extra=_TRAIN)] = False
    """Train low-rank adapters instead of every weight (needs the extra 'lora')."""

    train_tokens: Annotated[int | None, Field(ge=1, json_schema_extra=_TRAIN)] = None
    """Tokens to fine-tune on, pairs repeated or cut to reach it; by default `epochs` passes over the pairs."""

    epochs: Annotated[float, Field(gt=0, json_schema_extra=_TRAIN)] = 2.0
    """Passes over the pairs when train_tokens is not given; with it, so many passes of what is kept fit into them."""

    learning_rate: Annotated[float | None, Field(gt=0, json_schema_extra=_TRAIN)] = None
    """Peak of the cosine schedule; by default 1e-3 for the tiny student, 1e-5 for others, 1e-4 with LoRA."""

    batch_tokens: Annotated[int | None, Field(ge=64, json_schema_extra=_TRAIN)] = None
    """Tokens of a training batch; by default 1,024 for the tiny student, 4,096 for others."""

    sequence_tokens: Annotated[int, Field(ge=32, json_schema_extra=_TRAIN)] = 512
    """Longest training example, tokens; in longer ones the question loses its start and the answer stays, but an answer
    of more than half this length loses its end to leave the question up to half."""

    student_vocabulary: Annotated[int, Field(ge=300, json_schema_extra=_TRAIN)] = 1024
    """Tokens of the tiny student's byte-level BPE, learnt from the corpus."""

    student_width: Annotated[int, Field(ge=32, multiple_of=32, json_schema_extra=_TRAIN)] = 128
    """Hidden size of the tiny student, a multiple of 32 (the width of an attention head)."""

    student_layers: Annotated[int, Field(ge=1, json_schema_extra=_TRAIN)] = 3
    """Layers of the tiny student."""

    pretrain_tokens: Annotated[int, Field(ge=0, json_schema_extra=_TRAIN)] = 200_000
    """Tokens of raw corpus text the tiny student is pre-trained on; no document is extracted for it."""

    round_examples: Annotated[int, Field(ge=1, json_schema_extra=_TRAIN)] = 256
    """Examples of the test part, the same ones each time, that score the student after a round; all of them at the end."""

    train_reference: Annotated[bool, Field(json_schema_extra=_TRAIN)] = False
    """Also train one student on the reference alone and one on reference and selection, at the end: what the
    selection adds to the examples already in hand."""

    compare: Annotated[list[Strategy], Field(json_schema_extra=_TRAIN)] = ["random"]
    """Strategies run beside the chosen one for the report's comparison, on their own budget, reported apart. Those that warm
    up share the run's warm-up, and have none beside a strategy that does not. With --extractor llm none unless they are
    named, because what they read is paid for."""

    @property
    def title(self) -> str:
        return self.strategy

    @model_validator(mode="after")
    def _compare_with_others(self) -> EqualSettings:
        if self.extractor == "llm" and "compare" not in self.model_fields_set:
            object.__setattr__(self, "compare", [])
        others = [name for name in dict.fromkeys(self.compare) if name != self.strategy]
        object.__setattr__(self, "compare", others)
        return self
