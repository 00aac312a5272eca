"""Sequences out of sequences: a recurrent encoder, and a decoder that looks back at it by attention."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Read(NamedTuple):
    """What a decoder looks at: a batch of sequences, read.

    Attributes:
        states: of the encoder after each token (B, S, H); 0 behind the end.
        keys: what these are compared by (B, S, H).
        inside: whether there is a token at a place, (B, S) bool.
        last: the state after the last token (B, H).
    """

    states: torch.Tensor
    keys: torch.Tensor
    inside: torch.Tensor
    last: torch.Tensor


class Seq2Seq(nn.Module):
    """The tutorial's net: embedding, dropout and GRU; then Bahdanau's attention, and a GRU over words and what it sees.

    Batches have sequences of different lengths, and what comes out does not depend on the padding.

    Source: https://pytorch.org/tutorials/intermediate/seq2seq_translation_tutorial.html (EncoderRNN, AttnDecoderRNN).

    Args:
        source_size: tokens of the source vocabulary.
        target_size: tokens of the target vocabulary.
        width: of embeddings and states.
        dropout: of the embeddings.

    Examples:
        >>> import torch
        >>> from datakit.reference.seq2seq import Seq2Seq
        >>> net, tokens = Seq2Seq(9, 7, width=16), torch.tensor([[4, 5, 3], [6, 3, 0]])
        >>> net(tokens, torch.tensor([3, 2]), torch.tensor([[2, 4, 5, 6], [2, 5, 0, 0]])).shape
        torch.Size([2, 4, 7])
    """

    def __init__(self, source_size: int, target_size: int, width: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        self.source = nn.Embedding(source_size, width)
        self.encoder = nn.GRU(width, width, batch_first=True)
        self.attention = Attention(width)
        self.target = nn.Embedding(target_size, width)
        self.decoder = nn.GRUCell(2 * width, width)
        self.scores = nn.Linear(width, target_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor, length: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """Logits (B, T, target_size) of the token that follows each of `given` (B, T): teacher forcing.

        Args:
            tokens: of the source, int64 (B, S), padded.
            length: how many of them are no padding, (B,); 1 at least.
            given: the start token and those of the translation, int64 (B, T).
        """
        read = self.read(tokens, length)
        state, states = read.last, []
        for words in self.dropout(self.target(given)).unbind(1):
            state, _ = self.follow(words, state, read)
            states.append(state)
        logits: torch.Tensor = self.scores(torch.stack(states, 1))
        return logits

    def read(self, tokens: torch.Tensor, length: torch.Tensor) -> Read:
        """The source, as the decoder looks at it."""
        embedded = self.dropout(self.source(tokens))
        packed = pack_padded_sequence(embedded, length.cpu(), batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=tokens.shape[1])
        inside = torch.arange(tokens.shape[1], device=tokens.device) < length[:, None]
        return Read(states, self.attention.key(states), inside, last[0])

    def follow(self, words: torch.Tensor, state: torch.Tensor, read: Read) -> tuple[torch.Tensor, torch.Tensor]:
        """The next state (B, H) and where it looked (B, S), from embedded words (B, H) and a state."""
        seen, weights = self.attention(state, read)
        return self.decoder(torch.cat((words, seen), 1), state), weights

    @torch.inference_mode()
    def greedy(
        self, tokens: torch.Tensor, length: torch.Tensor, start: int, end: int, most: int
    ) -> tuple[list[list[int]], list[torch.Tensor]]:
        """The best token after each, until the end token or `most` of them.

        Args:
            tokens: of the source, int64 (B, S), padded.
            length: how many of them are no padding, (B,).
            start: the token that a translation begins with.
            end: the token that it ends with.
            most: no translation is longer.

        Returns:
            The tokens of each translation, without start and end; and where the decoder looked at each of them and at
            the end, (T, S) each, S of the sequence itself.
        """
        read = self.read(tokens, length)
        state, words = read.last, torch.full_like(length, start)
        chosen, looked = [], []
        for _ in range(most + 1):
            state, weights = self.follow(self.target(words), state, read)
            words = self.scores(state).argmax(1)
            chosen.append(words)
            looked.append(weights)
            if (torch.stack(chosen) == end).any(0).all():
                break
        rows = [_until(row, end)[:most] for row in torch.stack(chosen, 1).tolist()]
        maps = torch.stack(looked, 1).cpu()
        return rows, [each[: len(row) + 1, :size] for each, row, size in zip(maps, rows, length.tolist(), strict=True)]


class Attention(nn.Module):
    """Bahdanau's: a state looks at those of the encoder, at each as much as a small net says; never at padding.

    Source: https://arxiv.org/abs/1409.0473, appendix A.1.2.

    Args:
        width: of the states.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)

    def forward(self, state: torch.Tensor, read: Read) -> tuple[torch.Tensor, torch.Tensor]:
        """What is seen (B, H), the weighted mean of the states of the encoder; and the weights (B, S), 1 together."""
        scores = self.score(torch.tanh(self.query(state)[:, None] + read.keys))[..., 0]
        weights = scores.masked_fill(~read.inside, -torch.inf).softmax(1)
        return torch.bmm(weights[:, None], read.states)[:, 0], weights


def _until(row: list[int], end: int) -> list[int]:
    return row[: row.index(end)] if end in row else row
