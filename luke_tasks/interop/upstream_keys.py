"""What the configs of studio-ousia/luke's `examples` (on AllenNLP 2.10.1) say, and how it is said here: the one table.

`upstream_config.py` applies it, `allennlp_archive.py` takes the weights' names from it, `MIGRATING.md` prints it. A key
that is not in the table has the same name and meaning here, or is unknown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luke_tasks.errors import describe

ABSENT = object()


@dataclass(frozen=True)
class UpstreamModel:
    """A model class of the original.

    Args:
        head: the head's name here.
        embedder: where the old config describes the encoder.
        weights: the prefix of the encoder's tensors in an archive.
        head_weights: what the head's layers are called, there → here.
        unused: layers that the original never trains or reads.
    """

    head: str
    embedder: str = "model.feature_extractor.embedder"
    weights: str = "feature_extractor.embedder."
    head_weights: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"classifier.": "classifier."})
    unused: tuple[str, ...] = ()


MODELS = {
    "span_ner": UpstreamModel("ner"),
    "entity_typing": UpstreamModel("entity_typing"),
    "relation_classifier": UpstreamModel("relation_classifier"),
    "transformers_qa": UpstreamModel(
        "transformers_qa",
        embedder="model.embedder.token_embedders.tokens",
        weights="embedder.token_embedder_tokens.",
        head_weights={"span_scoring_layer.": "qa_outputs."},
        unused=("answer_type_classifier.",),
    ),
}
EMBEDDERS = {"transformers-luke": "luke", "pretrained_transformer": "transformer"}
ENCODER_WEIGHTS = {"luke": ("luke_model.", ""), "transformer": ("transformer_model.", "model.")}  # there, here
SPANS = ("span_ner",)
MENTIONS = ("entity_typing", "relation_classifier")
QA = ("transformers_qa",)
WITH_FEATURES = SPANS + MENTIONS

# Words that stand for several places in a config.
PLACES = {
    "READER": ("dataset_reader", "validation_dataset_reader"),
    "LOADER": ("data_loader", "validation_data_loader"),
}
# Sections that only an old config has: what the table does not take out of them is a fault.
OLD_SECTIONS = ("READER.tokenizer", "READER.token_indexers", "LOADER.batch_sampler", "model")


@dataclass(frozen=True)
class Rule:
    """One key of an old config.

    Args:
        old: its dotted path; the first word may be one of `PLACES`, or EMBEDDER.
        new: the path here; None: it is left out.
        why: for the log and for MIGRATING.md.
        convert: its value there → the value here. Raises ValueError with what is expected.
        default: what the original takes where its section has no such key, if that is something else than here. It is
            added; where there is no `new`, it is judged as if it were given.
        of: only where the section it stands in is of this `type`.
        models: only for these models; none: for all.
    """

    old: str
    new: str | None
    why: str = ""
    convert: Callable[[Any], Any] | None = None
    default: Any = ABSENT
    of: str | None = None
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class OneOf:
    """A `convert` by table, refusing what is not in it."""

    becomes: Sequence[tuple[Any, Any]]  # pairs, not a mapping: a value may be a list

    def __call__(self, value: Any) -> Any:
        for accepted, new in self.becomes:
            if value == accepted:
                return new
        raise ValueError(f"expected {self}, found {describe(value)}")

    def __str__(self) -> str:
        return " or ".join(describe(accepted) for accepted, _ in self.becomes)


def only(*accepted: Any) -> OneOf:
    """A `convert` that refuses all but some values."""
    return OneOf([(value, value) for value in accepted])


def one_of(names: Mapping[Any, Any]) -> OneOf:
    """A `convert` by table."""
    return OneOf(list(names.items()))


def _markers(value: Any) -> Any:
    if not isinstance(value, list) or not set(map(str, value)) <= {"<ent>", "<ent2>"}:
        raise ValueError(f'expected some of ["<ent>", "<ent2>"], found {describe(value)}')
    return value


def _single_metric(value: Any) -> Any:
    if isinstance(value, list) and len(value) != 1:
        raise ValueError(f"expected one metric, found {describe(value)}")
    return value[0] if isinstance(value, list) else value


# -- callbacks ------------------------------------------------------------------------------------------------------

_OWN_CALLBACKS = ("console_logger", "track_epoch_callback", "should_validate_callback", "confidence_checks",
                  "sanity_checks", "null")  # fmt: skip
_LOG_OPTIONS = ("distribution_interval", "batch_size_interval", "should_log_parameter_statistics",
                "should_log_learning_rate", "should_log_inputs", "batch_loss_moving_average_count", "watch_model",
                "files_to_save", "notes", "wandb_kwargs", "finish_on_end")  # fmt: skip


def _callbacks(value: Any) -> Any:
    """Those that the loop does anyway are taken out; the logging ones lose what they cannot be told here."""
    if not isinstance(value, list):
        return value
    kept = []
    for callback in value:
        options = {"type": callback} if isinstance(callback, str) else callback
        if not isinstance(options, dict) or options.get("type") in _OWN_CALLBACKS:
            kept += [] if isinstance(options, dict) else [callback]
        elif options.get("type") in ("wandb", "tensorboard"):
            options = {key: item for key, item in options.items() if key not in _LOG_OPTIONS}
            interval = options.pop("summary_interval", None)
            if interval is not None and options["type"] == "wandb":
                options["log_every_num_steps"] = interval
            kept.append(options)
        else:
            kept.append(callback)
    return kept


# -- the table ------------------------------------------------------------------------------------------------------


def _tokenizer_kwargs(section: str) -> Iterable[Rule]:
    kwargs = f"{section}.tokenizer_kwargs"
    yield Rule(f"{kwargs}.additional_special_tokens", None, "the readers add the markers they need", _markers)
    yield Rule(f"{kwargs}.use_fast", None, "the Rust tokenizer is always used")


_CHECKPOINT = "the encoder's tokenizer is used; `tokenizer` names another where the old config did"
_WHOLE = "texts are never folded; a reader's `max_sequence_length` bounds its windows"
_MEMORY = "data are read once and kept in memory"

RULES: tuple[Rule, ...] = (
    # what a text is made of
    Rule("READER.tokenizer.type", None, "the encoder's own tokenizer is used", only("pretrained_transformer")),
    Rule("READER.tokenizer.model_name", "tokenizer", _CHECKPOINT),
    Rule("READER.tokenizer.add_special_tokens", None, "the readers add them", only(False), default=True, models=SPANS),
    Rule("READER.tokenizer.add_special_tokens", None, "the readers add them", only(True), models=MENTIONS),
    Rule("READER.tokenizer.tokenizer_kwargs.add_prefix_space", None, "words of NER begin with a space", only(True),
         models=SPANS),
    Rule("READER.tokenizer.tokenizer_kwargs.add_prefix_space", None, "texts are tokenized as they stand", only(False),
         models=MENTIONS),
    *_tokenizer_kwargs("READER.tokenizer"),
    Rule("READER.tokenizer.max_length", None, _WHOLE, only(None)),
    Rule("READER.tokenizer.verification_tokens", None, "not needed"),
    Rule("READER.token_indexers.tokens.type", None, "not needed", only("pretrained_transformer")),
    Rule("READER.token_indexers.tokens.model_name", "tokenizer", _CHECKPOINT),
    Rule("READER.token_indexers.tokens.namespace", None, "not needed"),
    Rule("READER.token_indexers.tokens.max_length", None, _WHOLE, only(None)),
    Rule("READER.token_indexers.tokens.tokenizer_kwargs.add_prefix_space", None, "not needed"),
    *_tokenizer_kwargs("READER.token_indexers.tokens"),
    # readers
    Rule("READER.use_entity_feature", None, "entities are made whenever the head reads them", models=WITH_FEATURES),
    Rule("READER.iob_scheme", "READER.iob_scheme", "here the default is to look at the file", default="iob2",
         models=SPANS),
    Rule("READER.restore_brackets", "READER.restore_brackets", "the original's examples leave `-LRB-` and the like",
         default=False, models=("relation_classifier",)),
    Rule("READER.transformer_model_name", "tokenizer", _CHECKPOINT, models=QA),
    Rule("READER.tokenizer_kwargs", None, "not offered", only(None, {}), models=QA),
    Rule("READER.length_limit", "READER.max_sequence_length", "", models=QA),
    Rule("READER.skip_invalid_examples", "READER.skip_impossible_questions", "", models=QA),
    Rule("READER.wiki_entity_linker.entity_vocab_path", "READER.wiki_entity_linker.entity_vocab_path",
         "left out where it is the encoder's checkpoint", models=QA),
    Rule("READER.max_instances", None, "there is no such limit; shorten the file", only(None)),
    Rule("READER.manual_distributed_sharding", None, _MEMORY),
    Rule("READER.manual_multiprocess_sharding", None, _MEMORY),
    # model
    Rule("model.type", "model.head.type", "", one_of({name: model.head for name, model in MODELS.items()})),
    Rule("model.dropout", "model.head.dropout", "", models=WITH_FEATURES),
    Rule("model.dropout", None, "the original made it and never applied it", models=QA),
    Rule("model.label_name_space", None, "labels are in `vocabulary/labels.txt`", only("labels"), models=WITH_FEATURES),
    Rule("model.text_field_key", None, "not needed", only("tokens"), models=WITH_FEATURES),
    Rule("model.prediction_save_path", None, "`evaluate --predictions-output-file` writes them", models=SPANS),
    Rule("model.ignored_labels", "model.head.ignored_labels", "none is `no_relation`",
         lambda value: value or ["no_relation"], models=("relation_classifier",)),
    Rule("model.feature_extractor.type", "model.head.features", "",
         one_of({"token": "token", "entity": "entity", "token+entity": "token+entity"}), models=WITH_FEATURES),
    Rule("model.feature_extractor.feature_type", "model.head.token_feature", "", models=MENTIONS),
    Rule("model.feature_extractor.encoder", None, "no layers between encoder and head", only(None),
         models=WITH_FEATURES),
    Rule("model.embedder.type", None, "there is one encoder", only("basic"), models=QA),
    Rule("model.encoder", None, "no layers between encoder and head", only(None), models=QA),
    Rule("model.num_best_predictions", "model.head.num_best_predictions", "", models=QA),
    Rule("model.max_answer_length", "model.head.max_answer_length", "", models=QA),
    Rule("model.max_sequence_length", None, "the original never read it", models=QA),
    Rule("model.answer_type_name_space", None, "the original never trained its layer", models=QA),
    Rule("model.qa_metric", None, "exact match and F1 are always computed", models=QA),
    # encoder
    Rule("EMBEDDER.type", "model.encoder.type", "", one_of(EMBEDDERS)),
    Rule("EMBEDDER.model_name", "model.encoder.pretrained"),
    Rule("EMBEDDER.use_entity_aware_attention", "model.encoder.use_entity_aware_attention",
         "here the default is what the checkpoint says", default=False, of="transformers-luke"),
    Rule("EMBEDDER.output_embeddings", None, "the head takes what it needs", only("token", "entity", "token+entity"),
         of="transformers-luke"),
    Rule("EMBEDDER.train_parameters", None,
         'a parameter group freezes the encoder: `[["^encoder"], {"requires_grad": false}]`', only(True)),
    Rule("EMBEDDER.eval_mode", None, "dropout is off in evaluation only", only(False)),
    Rule("EMBEDDER.last_layer_only", None, "the last layer's vectors are read", only(True)),
    Rule("EMBEDDER.max_length", None, _WHOLE, only(None)),
    Rule("EMBEDDER.load_weights", None, "a checkpoint's weights are always loaded", only(True)),
    Rule("EMBEDDER.gradient_checkpointing", None, "saves memory only, and is not offered here"),
    *_tokenizer_kwargs("EMBEDDER"),
    # batches
    Rule("LOADER.type", None, _MEMORY, only("multiprocess", "simple", "pytorch_dataloader")),
    Rule("LOADER.num_workers", None, _MEMORY),
    Rule("LOADER.max_instances_in_memory", None, _MEMORY),
    Rule("LOADER.start_method", None, _MEMORY),
    Rule("LOADER.quiet", None, _MEMORY),
    Rule("LOADER.cuda_device", None, _MEMORY),
    Rule("LOADER.batches_per_epoch", None, "an epoch is one pass over the data", only(None)),
    Rule("LOADER.batch_sampler.type", "LOADER.bucket", "", one_of({"bucket": True})),
    Rule("LOADER.batch_sampler.batch_size", "LOADER.batch_size"),
    Rule("LOADER.batch_sampler.shuffle", "LOADER.shuffle", "the sampler's default", default=True),
    Rule("LOADER.batch_sampler.drop_last", "LOADER.drop_last"),
    Rule("LOADER.batch_sampler.sorting_keys", None, "windows are sorted by their length"),
    Rule("LOADER.batch_sampler.padding_noise", None, "windows are shuffled before they are sorted"),
    Rule("LOADER.batch_size", "LOADER.batch_size", "here the default is 32", default=1),
    # training
    Rule("trainer.type", None, "there is one trainer", only("gradient_descent")),
    Rule("trainer.validation_metric", "trainer.validation_metric", "one metric, no list", _single_metric),
    Rule("trainer.grad_norm", "trainer.grad_norm", "`false` is `null`",
         lambda value: None if isinstance(value, bool) else value),
    Rule("trainer.no_grad", None, 'parameter groups freeze: `[[regex], {"requires_grad": false}]`', only(None, [])),
    Rule("trainer.momentum_scheduler", None, "not offered", only(None)),
    Rule("trainer.enable_default_callbacks", None, "the log is always written"),
    Rule("trainer.run_confidence_checks", None, "not needed"),
    Rule("trainer.run_sanity_checks", None, "not needed"),
    Rule("trainer.grad_scaling", None, "part of `use_amp`"),
    Rule("trainer.distributed", None, "`distributed` stands at the top level", only(False)),
    Rule("trainer.world_size", None, "`distributed` stands at the top level", only(1)),
    Rule("trainer.callbacks", "trainer.callbacks", "the log and the checks are built in; `wandb` and `tensorboard` "
         "keep what says where to log", _callbacks),
    Rule("trainer.checkpointer.type", None, "there is one", only("default", "simplified")),
    Rule("trainer.checkpointer.keep_most_recent_by_count", "trainer.checkpointer.keep_most_recent_by_count",
         "at least 1, from which `--recover` goes on", lambda value: 1 if value == 0 else value),
    Rule("trainer.checkpointer.keep_most_recent_by_age", None, "checkpoints are kept by count"),
    Rule("trainer.checkpointer.save_completed_epochs", None, "every epoch is saved"),
    Rule("trainer.optimizer.lr", "trainer.optimizer.lr", "here the default is 1e-5", default=0.001, of="adamw"),
    Rule("trainer.optimizer.weight_decay", "trainer.optimizer.weight_decay", "here the default is 0.01", default=0.0,
         of="huggingface_adamw"),
    Rule("trainer.optimizer.correct_bias", None, "Adam's bias correction is always on", only(True)),
    Rule("trainer.optimizer.amsgrad", None, "not offered", only(False)),
    Rule("trainer.learning_rate_scheduler.warmup_steps", "trainer.learning_rate_scheduler.warmup_steps",
         "here the default is 0", default=100, of="linear_with_warmup"),
    Rule("distributed.ddp_accelerator", None, 'here it is `distributed.strategy`, "ddp" or "fsdp"',
         only(None, "torch", {"type": "torch"})),
    Rule("batch_weight_key", None, "batches weigh the same", only("")),
    # labels
    Rule("vocabulary.non_padded_namespaces", None, "labels have no padding",
         only(None, ["*tags", "*labels"], ["*labels", "*tags"])),
    Rule("vocabulary.padding_token", None, "labels have no padding", only(None, "@@PADDING@@")),
    Rule("vocabulary.oov_token", None, "every label is known", only(None, "@@UNKNOWN@@")),
    Rule("vocabulary.min_count", None, "every label counts", only(None, {})),
    Rule("vocabulary.max_vocab_size", None, "every label counts", only(None)),
)  # fmt: skip


def markdown_table() -> str:
    """The table as `MIGRATING.md` has it."""
    lines = ["| old key | here | |", "|---|---|---|"]
    for rule in RULES:
        notes = [", ".join(f"`{name}`" for name in rule.models) if len(rule.models) < len(WITH_FEATURES) else ""]
        notes.append(f"of type `{rule.of}`" if rule.of else "")
        notes.append(f"`{rule.convert}` only".replace(" or ", "` or `") if isinstance(rule.convert, OneOf) else "")
        notes.append(f"where it is not given: `{describe(rule.default)}`" if rule.default is not ABSENT else "")
        note = "; ".join(part for part in (*notes, rule.why) if part)
        lines.append(f"| `{rule.old}` | {f'`{rule.new}`' if rule.new else '-'} | {note} |")
    return "\n".join(lines) + "\n"
