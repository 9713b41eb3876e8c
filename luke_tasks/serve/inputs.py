"""What each task reads: a pydantic model (for validation and OpenAPI), the fields of the page, and an example.

`Reader.parse_input` has the last word, as in `predict`: it knows the text, and says more clearly what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError, create_model

from luke_tasks.errors import DataError, describe
from luke_tasks.readers.reader import Reader

Input = dict[str, Any]
Span = Annotated[tuple[StrictInt, StrictInt], Field(description="[start, end) in characters, or in words with `words`")]
Mention = Span | tuple[StrictInt, StrictInt, StrictStr | None] | dict[str, Any]


class AnyInput(BaseModel):
    """Any JSON object: what a task of one's own reads. Keys that a task does not know are let through."""

    model_config = ConfigDict(extra="allow")
    id: Any = Field(None, description="comes back with the answer")


class TextInput(AnyInput):
    """A text; its lines are sentences. Or the words of one sentence."""

    text: StrictStr | None = None
    words: list[StrictStr] | None = Field(None, description="instead of `text`")


class RelationInput(TextInput):
    """A text and the two entities whose relation is asked for."""

    head: Span
    tail: Span


class TypingInput(TextInput):
    """A text and the entities whose types are asked for."""

    entities: list[Span]


class MaskedInput(TextInput):
    """A text in which `<mask>` stands for a word piece to be found; entities without a title are to be found, too."""

    entities: list[Mention] = Field([], description="[start, end] or [start, end, title]")


class QuestionInput(AnyInput):
    """A question, and the text that has the answer."""

    question: StrictStr
    context: StrictStr
    title: StrictStr | None = Field(None, description="of the article, for the entity linker")


class ClozeInput(AnyInput):
    """A query with one `@placeholder`, a passage, and what may stand there."""

    query: StrictStr
    passage: StrictStr
    candidates: list[StrictStr | Span] = Field(
        description="characters [start, end) of the passage, or strings that stand there as whole words"
    )


class ChoiceInput(AnyInput):
    """A text, and two or more ways in which it may go on."""

    context: StrictStr = Field(validation_alias=AliasChoices("context", "sent1"))
    question: StrictStr | None = Field(None, description="stands before each choice")
    choices: list[StrictStr] | None = None  # SWAG's form numbers them: ending0, ending1, ...


@dataclass(frozen=True)
class Mark:
    """Spans of a text that one marks on the page: one, or `many`. Their key in the input, and how the page says it."""

    key: str
    label: str
    many: bool = False
    required: bool = True


@dataclass(frozen=True)
class Part:
    """A part of the page's form. `kind`: a text, a list of texts, or the input as JSON.

    Args:
        key: of the input.
        hint: a line below it.
    """

    key: str
    label: str
    kind: Literal["text", "texts", "json"] = "text"
    marks: Sequence[Mark] = ()
    required: bool = True
    hint: str = ""


@dataclass(frozen=True)
class Form:
    """What a model's inputs look like."""

    model: type[BaseModel]
    parts: Sequence[Part]
    example: Input

    def check(self, value: Any, where: str, reader: Reader) -> Input:
        """An input as an object; a text alone is `{"text": ...}`.

        Raises:
            DataError: it has not this form.
        """
        if isinstance(value, str):
            value = {"text": value}
        if not isinstance(value, dict):
            raise DataError(f"{where}: expected a JSON object, such as {describe(self.example)}, found "
                            f"{describe(value)}")  # fmt: skip
        try:
            self.model.model_validate(value)
        except ValidationError as error:
            reader.parse_input(value, where)  # its own message, where it has one
            raise DataError(f"{where}: {_first_fault(error)}") from None
        return value

    def for_page(self) -> dict[str, Any]:
        """As JSON."""
        return {"parts": [asdict(part) for part in self.parts], "example": self.example,
                "schema": self.model.model_json_schema()}  # fmt: skip


def form_of(reader: Reader) -> Form:
    """The form of a reader's inputs; of a task of one's own, any object, or plain text where that will do."""
    make = _FORMS.get(reader.task)
    if make is not None:
        return make(reader)
    if reader.input_form is None:
        return Form(AnyInput, [Part("text", "Text")], {"text": _SENTENCE})
    return Form(AnyInput, [Part("", "Input", "json", hint=reader.input_form)], {})


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f'"{field}" is missing'
    return f'"{field}": {fault["msg"][:1].lower()}{fault["msg"][1:]}, found {describe(fault["input"])}'


_SENTENCE = "Jordan Whitlock left Chelsea last summer to run the Florence Institute in Norwich."
_PASSAGE = ("Severn Breweries has bought its rival Phoenix for 13,000 pounds. Severn Breweries will keep its own base "
            "in Chelsea Sands.")  # fmt: skip


def _span(text: str, part: str) -> list[int]:
    return [text.index(part), text.index(part) + len(part)]


def _text(reader: Reader) -> Form:
    return Form(TextInput, [Part("text", "Text", hint="Each line is a sentence.")], {"text": _SENTENCE})


def _relation(reader: Reader) -> Form:
    text = "We pay well, said Eric Fenby, the managing director of Victoria."
    marks = [Mark("head", "head"), Mark("tail", "tail")]
    example = {"text": text, "head": _span(text, "Eric Fenby"), "tail": _span(text, "Victoria")}
    return Form(RelationInput, [Part("text", "Text", marks=marks)], example)


def _typing(reader: Reader) -> Form:
    text = "In Brittany they bake it with apples and call it a cure for colds."
    part = Part("text", "Text", marks=[Mark("entities", "entity", many=True)])
    return Form(TypingInput, [part], {"text": text, "entities": [_span(text, "Brittany")]})


def _masked(reader: Reader) -> Form:
    text = "The parliament of Poland sits in Warsaw, and everybody there speaks <mask>."
    marks = [Mark("entities", "entity", many=True, required=False)]
    part = Part("text", "Text", marks=marks, hint="<mask> stands for a word to find; a marked entity is to be found.")
    return Form(MaskedInput, [part], {"text": text, "entities": [_span(text, "Warsaw")]})


def _question(reader: Reader) -> Form:
    example = {"question": "Where did Boris Dunworth grow up?",
               "context": "Boris Dunworth grew up in Ingstead and was hired by Dendale Robotics. In 1759 he left home "
               "with 620 letters."}  # fmt: skip
    return Form(QuestionInput, [Part("question", "Question"), Part("context", "Context")], example)


def _cloze(reader: Reader) -> Form:
    names = ("Severn Breweries", "Phoenix", "Chelsea Sands")
    example = {"query": "The offices of @placeholder are to be sold.", "passage": _PASSAGE,
               "candidates": [_span(_PASSAGE, name) for name in names]}  # fmt: skip
    parts = [Part("query", "Query", hint="@placeholder stands where the answer belongs."),
             Part("passage", "Passage", marks=[Mark("candidates", "candidate", many=True)])]  # fmt: skip
    return Form(ClozeInput, parts, example)


def _choice(reader: Reader) -> Form:
    example = {"context": "The hair has grown too long, and Elif sits down in the chair.", "question": "Then Elif",
               "choices": ["makes a pot of tea.", "changes the bulb.", "asks for a short cut."]}  # fmt: skip
    parts = [Part("context", "Context"), Part("question", "Beginning of each choice", required=False),
             Part("choices", "Choices", "texts", hint="One a line.")]  # fmt: skip
    return Form(ChoiceInput, parts, example)


def _sequence(reader: Reader) -> Form:
    """The columns of the training data may name the texts, too."""
    example = {"text": "No complaints so far: the raincoat is light and the seller sent it at once."}
    parts = [Part("text", "Text")]
    names = {"text": getattr(reader, "text", "text")}
    if getattr(reader, "text_pair", None) is not None:
        names["text_pair"] = reader.text_pair  # type: ignore[attr-defined]
        parts.append(Part("text_pair", "Second text"))
        example["text_pair"] = "The raincoat arrived quickly."
    texts: dict[str, Any] = {
        key: (StrictStr, Field(validation_alias=AliasChoices(key, column))) for key, column in names.items()
    }
    model = create_model(
        "PairInput" if "text_pair" in names else "SingleTextInput", __base__=AnyInput, __doc__="What is classified.",
        entities=(list[Mention], Field([], description="[start, end] or [start, end, title], of the text")), **texts,
    )  # fmt: skip
    return Form(model, parts, example)


_FORMS: dict[str, Callable[[Reader], Form]] = {
    "ner": _text,
    "token_classification": _text,
    "relation_classification": _relation,
    "entity_typing": _typing,
    "masked_text": _masked,
    "question_answering": _question,
    "record": _cloze,
    "multiple_choice": _choice,
    "sequence_classification": _sequence,
}


def read_json(body: bytes) -> Any:
    """The value of a request's body. Raises DataError when it is no JSON in UTF-8."""
    try:
        value = json.loads(body.decode("utf-8").removeprefix("\ufeff"))  # the mark that Windows puts before a file
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"the body is not UTF-8: byte 0x{body[error.start]:02x} at {error.start}") from None
    except UnicodeEncodeError:
        raise DataError("the body holds half a character (a lone \\ud800 to \\udfff)") from None
    except json.JSONDecodeError as error:
        raise DataError(f"the body is no valid JSON ({error.msg} at line {error.lineno}, column {error.colno}); "
                        "expected one input, or a list of them") from None  # fmt: skip
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise DataError(f"the body is JSON that cannot be read ({error})") from None
    return value
