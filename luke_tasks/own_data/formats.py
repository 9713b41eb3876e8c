"""The tasks, the files that each reads, and an example of each format: what a file no reader takes is answered with."""

from __future__ import annotations

TASKS = (
    "ner",
    "token_classification",
    "relation_classification",
    "entity_typing",
    "question_answering",
    "record",
    "sequence_classification",
    "multiple_choice",
    "masked_lm",
)

# task → what it learns, for questions and messages
MEANINGS = {
    "ner": "named entities",
    "token_classification": "a label for each word",
    "relation_classification": "the relation of two entities",
    "entity_typing": "the types of a mention",
    "question_answering": "the answer in a text",
    "record": "the entity that fills a gap",
    "sequence_classification": "a class or number for each text",
    "multiple_choice": "which choice fits",
    "masked_lm": "hidden words and entities",
}

_COLUMNS = ("one word a line, its tag in the last column, a blank line after each sentence", "Jordan B-PER\nleft O")
_QUESTION = (
    '{"data": [{"title": "Ada", "paragraphs": [{"context": "Ada left.",\n'
    '  "qas": [{"id": "q1", "question": "Who left?", "answers": [{"text": "Ada", "answer_start": 0}]}]}]}]}'
)
_CLOZE = (
    '{"data": [{"passage": {"text": "Ada left Acme.", "entities": [{"start": 0, "end": 2}, {"start": 9, "end": 12}]},\n'
    '  "qas": [{"id": "q1", "query": "@placeholder fell.", "answers": [{"start": 9, "end": 12, "text": "Acme"}]}]}]}'
)

# task → formats, each with two lines of it
FORMATS: dict[str, tuple[tuple[str, str], ...]] = {
    "ner": (_COLUMNS,),
    "token_classification": (_COLUMNS,),
    "relation_classification": (
        ("JSON lines, spans [start, end) in characters",
         '{"text": "Ada left Acme.", "head": [0, 3], "tail": [9, 13], "label": "left"}\n'
         '{"text": "Bo runs Acme.", "head": [0, 2], "tail": [8, 12], "label": "runs"}'),
        ("TACRED: one JSON array",
         '[{"token": ["Ada", "left", "Acme"], "subj_start": 0, "subj_end": 0, "obj_start": 2, "obj_end": 2,\n'
         '  "relation": "left"}]'),
        ("KBP37: id, tab, sentence; below it the relation", '1\t"<e1> Ada </e1> left <e2> Acme </e2> ."\nleft(e1,e2)'),
    ),
    "entity_typing": (
        ("JSON lines of Open Entity",
         '{"left_context_token": ["On"], "mention_span": "Monday", "right_context_token": ["."], "y_str": ["time"]}\n'
         '{"left_context_token": [], "mention_span": "She", "right_context_token": ["left"], "y_str": ["person"]}'),
    ),
    "question_answering": (("SQuAD: one JSON file", _QUESTION),),
    "record": (("ReCoRD: one JSON file", _CLOZE),),
    "sequence_classification": (
        ("TSV or CSV whose first line names the columns", "text\tlabel\nIt broke on the first day.\tbad"),
        ("JSON lines", '{"text": "It broke.", "label": "bad"}\n{"text": "It lasts.", "label": "good"}'),
    ),
    "multiple_choice": (
        ("JSON lines, label from 0",
         '{"context": "He sits.", "question": "Then he", "choices": ["stands up.", "melts."], "label": 0}\n'
         '{"context": "It rains.", "choices": ["She takes an umbrella.", "She waters the garden."], "label": 0}'),
        ("CSV of SWAG", "sent1,sent2,ending0,ending1,label\nHe sits.,Then he,stands up.,melts.,0"),
    ),
    "masked_lm": (
        ("plain text, one text a line", "Paris is the capital of France.\nRome is old."),
        ("JSON lines, entities by name", '{"text": "Paris is old.", "entities": [[0, 5, "Paris"]]}\n{"text": "Ah."}'),
    ),
}  # fmt: skip


def formats_of(task: str) -> str:
    """The formats that a task reads, each with its example, indented."""
    shown = []
    for name, example in FORMATS[task]:
        shown += [f"  {name}:", *(f"      {line}" for line in example.split("\n"))]
    return "\n".join(shown)
