"""Features: one window of an example, as integer arrays. What readers make and `collate` pads.

Shapes: W word pieces and E entities of this window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from luke_tasks.data.labels import Labels

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
# What attends to what in a window. `all`: everything to everything. Else words attend to words only, and an entity to
# the words and to itself (`self`), or to its group (`group`); see `encoder/shared_attention.py`.
EntityAttention = Literal["all", "self", "group"]
IGNORED_LABEL = -100  # target of padding; losses skip it (torch's own default for cross-entropy)


@dataclass(eq=False, kw_only=True)
class Features:
    """Base of the tasks' features, which add gold labels and whatever decoding needs."""

    example: Any  # the example this window was cut from
    word_ids: IntArray  # (W,) special tokens included
    entity_ids: IntArray  # (E,)
    entity_spans: IntArray  # (E, 2) word pieces [start, end) within `word_ids`
    num_words: int  # words this window is responsible for, for speeds in words per second
    word_type_ids: IntArray | None = None  # (W,) segment ids; None: all 0
    entity_type_ids: IntArray | None = None  # (E,) segment ids; None: all 0
    entity_attention: EntityAttention = "all"
    entity_groups: IntArray | None = None  # (E,) the group of each entity, where `entity_attention` is "group"

    @property
    def windows(self) -> Sequence[Features]:
        """What becomes the rows of a batch: itself; several where they must stay in one batch, as choices must."""
        return (self,)

    def targets(self, labels: Labels) -> IntArray | FloatArray | None:
        """Gold labels as the integers (of regression: floats) the head's loss reads; None where the example has none.

        Raises:
            DataError: a label that `labels` does not know.
        """
        raise NotImplementedError(f"{type(self).__name__} has no targets")
