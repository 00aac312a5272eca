"""What turns text into numbers: a `Vocab`, a tokenizer of Hugging Face, or a file that holds one of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch

from datakit.errors import CorruptDataError, DatakitError
from datakit.files.plain_text import read_json
from datakit.vocab import ROLES, Role, Vocab

_WRITTEN: dict[Role, tuple[str, ...]] = {  # how the models of the hub write their special tokens
    "pad": ("[PAD]", "<pad>", "<|pad|>"),
    "unknown": ("[UNK]", "<unk>"),
    "start": ("[CLS]", "<s>", "<bos>", "<|begin_of_text|>"),
    "end": ("[SEP]", "</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>"),
    "mask": ("[MASK]", "<mask>"),
}
_ATTRIBUTES: dict[Role, tuple[str, ...]] = {  # of a tokenizer of transformers
    "pad": ("pad_token_id",),
    "unknown": ("unk_token_id",),
    "start": ("bos_token_id", "cls_token_id"),
    "end": ("eos_token_id", "sep_token_id"),
    "mask": ("mask_token_id",),
}


class Coder(Protocol):
    """What transforms of text ask of a vocabulary."""

    def encode(self, text: str) -> torch.Tensor:
        """The numbers of a text, int64 (T,)."""

    def decode(self, numbers: Iterable[int], *, specials: bool = False) -> str:
        """The text of some numbers."""

    def token(self, number: int) -> str:
        """How a number is written."""

    def of(self, role: Role) -> int | None:
        """The number of a special token; None where there is no such one."""

    def is_special(self, number: int) -> bool:
        """Whether a number is that of a special token."""

    def __len__(self) -> int: ...


class Tokenizer:
    """A tokenizer of Hugging Face's `tokenizers` or `transformers`, as a `Coder`.

    A text gets the special tokens that the tokenizer itself puts around it, and is cut where the tokenizer cuts it. It
    is not padded: that is what a batch is for.

    Args:
        tokenizer: a `tokenizers.Tokenizer`, or a `PreTrainedTokenizerFast` of `transformers`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._roles = {role: number for role in ROLES if (number := _number_of(tokenizer, role)) is not None}
        self._special = _special_numbers(tokenizer) | set(self._roles.values())

    def encode(self, text: str) -> torch.Tensor:
        """The numbers of a text, int64 (T,)."""
        encoded = self.tokenizer.encode(text)
        if not hasattr(encoded, "ids"):
            return torch.tensor(encoded, dtype=torch.int64)
        attended = zip(encoded.ids, encoded.attention_mask, strict=True)  # padding that it was told to add is no token
        return torch.tensor([number for number, is_there in attended if is_there], dtype=torch.int64)

    def decode(self, numbers: Iterable[int], *, specials: bool = False) -> str:
        """The text of some numbers."""
        text: str = self.tokenizer.decode([int(number) for number in numbers], skip_special_tokens=not specials)
        return text

    def token(self, number: int) -> str:
        """How a number is written; an empty text where the tokenizer has no such one."""
        own = self.tokenizer
        found = own.id_to_token(number) if hasattr(own, "id_to_token") else own.convert_ids_to_tokens(number)
        return found or ""

    def of(self, role: Role) -> int | None:
        """The number of a special token; None where there is no such one."""
        return self._roles.get(role)

    def is_special(self, number: int) -> bool:
        """Whether a number is that of a special token."""
        return number in self._special

    def __len__(self) -> int:
        own = self.tokenizer
        return int(own.get_vocab_size()) if hasattr(own, "get_vocab_size") else len(own)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and self.tokenizer is other.tokenizer

    def __hash__(self) -> int:
        return id(self.tokenizer)

    def __repr__(self) -> str:
        return f"{type(self.tokenizer).__name__}({len(self):,} tokens)"


def coder_of(source: Any) -> Coder:
    """The coder that was given, or that a file holds.

    Args:
        source: a `Vocab`, a tokenizer of `tokenizers` or `transformers`, or the path of what `Vocab.save` or the
            `save` of `tokenizers` wrote.

    Raises:
        MissingDataError: there is no such file.
        CorruptDataError: the file holds neither.
        DatakitError: `tokenizers` is needed for the file and not installed.
        TypeError: for anything else.

    Examples:
        >>> from datakit.coding import coder_of
        >>> from datakit.text import Vocab
        >>> Vocab.characters(["Ana"]).save("vocab.json")
        >>> coder_of("vocab.json")
        Vocab(7 characters, 4 of them special)
    """
    if isinstance(source, Vocab | Tokenizer):
        return source
    if isinstance(source, str | os.PathLike):
        return _read(Path(source))
    if callable(getattr(source, "encode", None)) and callable(getattr(source, "decode", None)):
        return Tokenizer(source)
    raise TypeError(f"text is encoded by a Vocab, a tokenizer or a file of one, not by a {type(source).__name__}")


def number_of(coder: Coder, role: Role, who: object) -> int:
    """The number of a special token.

    Raises:
        ValueError: where there is no such one.
    """
    number = coder.of(role)
    if number is None:
        raise ValueError(f"{who} needs a special token {role!r}, and {coder!r} has none")
    return number


def _read(path: Path) -> Coder:
    document = read_json(path)
    if "model" not in document:
        return Vocab.load(path)
    try:
        from tokenizers import Tokenizer as HuggingFace
    except ImportError as error:
        raise DatakitError(f"{path} is a tokenizer of Hugging Face: pip install tokenizers") from error
    try:
        return Tokenizer(HuggingFace.from_file(str(path)))
    except Exception as error:  # it raises nothing more special
        raise CorruptDataError(f"{path}: no tokenizer: {error}") from error


def _number_of(tokenizer: Any, role: Role) -> int | None:
    for name in _ATTRIBUTES[role]:
        if isinstance(number := getattr(tokenizer, name, None), int):
            return number
    if not hasattr(tokenizer, "token_to_id"):
        return None
    padding = getattr(tokenizer, "padding", None)
    if role == "pad" and padding:
        return int(padding["pad_id"])
    own = getattr(tokenizer.model, "unk_token", None) if role == "unknown" else None
    found = (tokenizer.token_to_id(written) for written in (own, *_WRITTEN[role]) if written)
    return next((int(number) for number in found if number is not None), None)


def _special_numbers(tokenizer: Any) -> set[int]:
    if hasattr(tokenizer, "all_special_ids"):
        return set(tokenizer.all_special_ids)
    added = tokenizer.get_added_tokens_decoder() if hasattr(tokenizer, "get_added_tokens_decoder") else {}
    return {number for number, token in added.items() if token.special}
