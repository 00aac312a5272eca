"""`translate`: French sentences into English ones, by an encoder and a decoder with attention."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch.nn import functional

from datakit import collate
from datakit.coding import number_of
from datakit.dataset import digest
from datakit.errors import DatakitError
from datakit.loader import Loader
from datakit.reference.attention_drawing import draw_attention
from datakit.reference.base import Reference
from datakit.reference.checks import Bar, Check, shown
from datakit.reference.guesses import spread
from datakit.reference.history import History
from datakit.reference.kept import Kept
from datakit.reference.schedules import OneCycle, learn
from datakit.reference.seq2seq import Seq2Seq
from datakit.reference.split import no_leak
from datakit.reference.word_ngrams import WordNgrams
from datakit.text import ENGLISH_PREFIXES, TranslationPairs, Vocab, normalize_sentence
from datakit.transforms import AddSpecials, Compose, Encode
from datakit.vocab import Role

DRAWN = 800  # pairs of the synthetic copy, a quarter of which begin otherwise
MOST = 10  # words of a translation
OF_NGRAMS = 0.75  # of their loss, which does not know what is to be translated
SHORT = 4  # words of a sentence that a net which has seen it must know
TOGETHER = 128  # sentences of a test batch
HIDDEN = 0.1  # of the French words, while it learns
SHOWN, DRAWN_MAPS = 6, 4


class Translation(NamedTuple):
    """A sentence, how it was translated, and where the decoder looked at each word of that and at its end (T, S)."""

    source: str
    found: str
    weights: torch.Tensor


class TranslateByAttention(Reference):
    """French sentences into English ones, as the tutorial does: a GRU reads, another one writes and looks back.

    Sentences are normalised and chosen as in the tutorial: nine words at most, and English ones that begin with "i am",
    "he is" and so on. A tenth of the French sentences are held out. The bars: the loss on held-out sentences is at most
    three quarters of that of the best n-gram model of English, which does not know what is to be translated; 90 % of
    the training sentences of up to four words are translated word for word; each held-out one is translated alone as in
    a batch; and none of them is among the training sentences.
    """

    name = "translate"
    source = "https://pytorch.org/tutorials/intermediate/seq2seq_translation_tutorial.html"
    epochs, synthetic_epochs = 30, 10
    remembers: ClassVar[bool] = True
    dataset = TranslationPairs
    units: ClassVar[Mapping[str, str]] = {"held-out loss": "nats a word", "short training sentences": "%"}
    bars = (
        Bar("held-out loss", f"{shown(OF_NGRAMS, '%')} of the best n-gram model's of English", "low", "nats a word",
            "held-out loss"),
        Bar(f"training sentences of up to {SHORT} words", 0.9, unit="%", key="short training sentences"),
        Bar("held-out sentences translated otherwise alone", 0, "low"),
        no_leak("sentences"),
    )  # fmt: skip

    def build(self) -> None:
        """Vocabularies are those of the training sentences: other words are unknown."""
        train, test = self.pairs("train"), self.pairs("test")
        self.french, self.english = Vocab.words(train.texts()), Vocab.words(train.texts("target_text"))
        self.words = Kept([vocab.tokens[len(vocab.specials) :] for vocab in (self.french, self.english)])
        chain = Compose([
            *(Encode(self.french), AddSpecials(self.french, start=False)),
            *(Encode(self.english, "target_text"), AddSpecials(self.english, key="target_tokens")),
        ])  # fmt: skip
        self.data = (
            f"{'synthetic' if self.is_synthetic else 'Tatoeba'} pairs, French to English: {len(train):,} to train on, "
            f"{len(test):,} to test on"
        )
        self.contents = digest(*train.texts(), *train.texts("target_text"), *test.texts(), *test.texts("target_text"))
        known = set(train.texts())
        self.leaked = sum(text in known for text in test.texts())
        self.loader = self.learn_from(train.with_transform(chain), 32)
        self.seen = self.test_on(train.with_transform(chain), TOGETHER)
        self.test = self.test_on(test.with_transform(chain), TOGETHER)
        self.model = Seq2Seq(len(self.french), len(self.english)).to(self.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), weight_decay=1e-2)
        steps = len(self.loader) * self.usual_epochs
        self.schedule = OneCycle(self.optimizer, max_lr=1e-2 if self.is_synthetic else 4e-3, total_steps=steps)

    def pairs(self, split: str) -> TranslationPairs:
        """The sentences to train on or to test on, as the tutorial chooses them."""
        root = TranslationPairs.synthetic(DRAWN).root if self.root is None else self.root
        return TranslationPairs(
            root, split, source="fra", target="eng", normalize=normalize_sentence, max_words=MOST - 1,
            prefixes={"eng": ENGLISH_PREFIXES}, seed=self.seed_of(split), download=self.download,
        )  # fmt: skip

    def rebuild(self, states: Mapping[str, Any]) -> None:
        """Vocabularies and the net, from what was saved: `predict` needs no data."""
        self.french, self.english = (Vocab(tokens, "words") for tokens in states["words"]["items"])
        self.model = Seq2Seq(len(self.french), len(self.english)).to(self.device)
        self.model.load_state_dict(states["model"])

    def numbers(self, *roles: Role) -> list[int]:
        """Those of special tokens, which are the same in both vocabularies."""
        return [number_of(self.english, role, self.name) for role in roles]

    def seed_of(self, split: str) -> int:
        """That of the split: the same for its two sides."""
        return 0

    def sources(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens of the French sentences (B, S), and how many of them are no padding (B,)."""
        return batch["tokens"].to(self.device), batch["length"].to(self.device)

    def shifted(self, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the decoder is given, and what must follow, (B, T) each, of translations with start and end."""
        return target[:, :-1], target[:, 1:]

    def step(self, batch: dict[str, Any]) -> dict[str, float]:
        """The cross entropy of the next word, with the right ones before it: teacher forcing."""
        self.model.train()
        tokens, length = self.sources(batch)
        pad, unknown = self.numbers("pad", "unknown")
        is_hidden = (torch.rand(tokens.shape) < HIDDEN).to(self.device) & (tokens >= len(self.french.specials))
        given, wanted = self.shifted(batch["target_tokens"].to(self.device))
        scores = self.model(tokens.masked_fill(is_hidden, unknown), length, given)
        loss = functional.cross_entropy(scores.flatten(0, 1), wanted.flatten(), ignore_index=pad)
        learn(loss, self.optimizer, self.schedule)
        return {"loss": loss.item()}

    def evaluate(self) -> dict[str, float]:
        """The loss on held-out sentences, and the share of short training sentences that are right word for word."""
        short = [one for one in self.translations(self.seen) if len(one.source.split()) <= SHORT]
        right = self.right(short, self.seen)
        return {"held-out loss": self.loss(self.test), "short training sentences": sum(right) / max(1, len(right))}

    @torch.inference_mode()
    def loss(self, test: Loader) -> float:
        """Nats a word, ends of sentences too; of English words that training sentences have."""
        self.model.eval()
        total, count = 0.0, 0
        pad, unknown = self.numbers("pad", "unknown")
        for batch in test:
            given, wanted = self.shifted(batch["target_tokens"].to(self.device))
            scores = self.model(*self.sources(batch), given)
            is_known = (wanted != pad) & (wanted != unknown)
            total += functional.cross_entropy(scores[is_known], wanted[is_known], reduction="sum").item()
            count += int(is_known.sum())
        return total / count

    @torch.inference_mode()
    def translations(self, test: Loader) -> list[Translation]:
        """Of all sentences, in their order, the best word after each."""
        self.model.eval()
        start, end = self.numbers("start", "end")
        found: list[Translation] = []
        for batch in test:
            rows, weights = self.model.greedy(*self.sources(batch), start, end, MOST)
            found += map(Translation, batch["text"], map(self.english.decode, rows), weights)
        return found

    def right(self, translations: Sequence[Translation], test: Loader) -> list[bool]:
        """Whether each is, word for word, one that its sentence has in the data."""
        known = defaultdict(set)
        for row in test.records.records():
            known[row["text"]].add(row["target_text"])
        return [one.found in known[one.source] for one in translations]

    def told_otherwise(self) -> int:
        """How many of the held-out sentences are translated otherwise alone than in a batch."""
        together, alone = (self.translations(test) for test in (self.test, self.test_on(self.test.records, 1)))
        return sum(one.found != other.found for one, other in zip(together, alone, strict=True))

    def by_counts(self) -> float:
        """The loss of the best n-gram model on the held-out translations."""
        train, test = ([row["target_text"] for row in part.records.records()] for part in (self.seen, self.test))
        return min(WordNgrams(train, order).loss(test) for order in (1, 2, 3))

    def checks(self, history: History) -> Sequence[Check]:
        """What is said is drawn from the source, and from nothing beside it."""
        loss, share = (history.last(name) for name in self.units)
        by_counts = self.by_counts()
        held_out, short, alone, leak = self.bars
        what = f"held-out loss, where n-grams have {by_counts:.3g}:"
        return [
            held_out.check(loss, bar=OF_NGRAMS * by_counts, what=what),
            short.check(share),
            alone.check(self.told_otherwise()),
            leak.check(self.leaked),
        ]

    def lines(self) -> Sequence[str]:
        """Some sentences, as the tutorial prints them: what was given, what it means, what was found."""
        lines = []
        for what, test in (("held-out", self.test), ("training", self.seen)):
            found = self.translations(test)
            lines.append(f"{sum(self.right(found, test))} of {len(found)} {what} sentences are right, word for word")
            for place in spread(len(found), SHOWN):
                row = test.records[place]
                lines += ["", f"> {row['text']}", f"= {row['target_text']}", f"< {found[place].found}"]
            lines.append("")
        return lines[:-1]

    def predict(self, text: str) -> Sequence[str]:
        """The translation of a sentence, normalised as the data are; a note tells which words are unknown.

        Raises:
            DatakitError: where there is no word in it.
        """
        sentence = normalize_sentence(text)
        if not sentence:
            raise DatakitError(f"{text!r} has no word to translate")
        if missing := self.french.coverage([sentence]).missing:
            self.notes.append(f"no training sentence has {', '.join(map(repr, missing))}")
        sample = Compose([Encode(self.french), AddSpecials(self.french, start=False)])({"text": sentence})
        one = Loader([sample], 1, collate_fn=collate.pad, rank=0, world_size=1)
        return [f"< {self.translations(one)[0].found}"]

    def pictures(self, history: History) -> Mapping[str, bytes]:
        """Where the decoder looked, of the longest held-out sentences that are right, or of any."""
        found = self.translations(self.test)
        order = sorted(
            zip(self.right(found, self.test), found, strict=True), key=lambda pair: (not pair[0], -len(pair[1].source))
        )
        some = [one for _, one in order[:DRAWN_MAPS]]
        sources = [[*one.source.split(), "</s>"] for one in some]
        targets = [[*one.found.split(), "</s>"] for one in some]
        return {"attention.png": draw_attention(self, sources, targets, [one.weights for one in some])}


class SourcesSortedAlone(TranslateByAttention):
    """French sentences are sorted by length, as packing once needed it; their translations are not."""

    bug = "sources-sorted-alone"

    def sources(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """The longest first."""
        tokens, length = super().sources(batch)
        order = length.argsort(descending=True, stable=True)
        return tokens[order], length[order]


class TargetNotShifted(TranslateByAttention):
    """The decoder is given the word that it must say."""

    bug = "target-not-shifted"

    def shifted(self, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same twice."""
        return target[:, 1:], target[:, 1:]


class LengthsIgnored(TranslateByAttention):
    """Padding counts as words: the encoder reads it and the decoder looks at it."""

    bug = "lengths-ignored"

    def sources(self, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """As long as the longest one."""
        tokens, length = super().sources(batch)
        return tokens, torch.full_like(length, tokens.shape[1])


class SplitLeaks(TranslateByAttention):
    """The sentences to train on are those of another split, and so held-out ones are among them."""

    bug = "split-leaks"

    def seed_of(self, split: str) -> int:
        """Another one for each side."""
        return 0 if split == "test" else 1
