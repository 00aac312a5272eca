"""What `inspect` finds in texts and tokens: what numbers stand for, batches taken apart, shares, what is wrong."""

from collections import Counter

import numpy as np
import pytest
import torch

from datakit import Concat, Loader, Mapped, Subset, collate
from datakit.inspection.batch import padding_of
from datakit.inspection.look import look
from datakit.inspection.spectrum import steps_by_name
from datakit.inspection.surveying import survey
from datakit.inspection.text import Coders, coders_after, kinds_of, texts_in, tokens_in
from datakit.inspection.text_batch import text_columns, token_batches
from datakit.inspection.text_survey import missing
from datakit.targets import Target, TargetError, open_target, parse_transform
from datakit.text import SPECIALS, Names, TextLines, TranslationPairs, Vocab
from datakit.transforms import AddSpecials, Compose, Encode, MaskTokens, NextTokens, Truncate

MASKED = {**SPECIALS, "mask": "<mask>"}
NAMES = ["Ana", "Anna", "Nan", "nana", "Nana", "An"]
VOCAB = Vocab.characters(NAMES, specials=MASKED)  # 0 … 4 are special, then n, a, A, N


def dataset_of(texts, *steps, key="text"):
    samples = [{key: text} if isinstance(text, str) else text for text in texts]
    dataset = Mapped(samples, transform=Compose(steps) if steps else None)
    dataset.collate_fn = collate.pad
    return dataset


def seen_in(dataset, **options):
    dataset = dataset if hasattr(dataset, "trace") else dataset_of(dataset)
    return look(Target("texts", dataset), **{"draws": 0, **options})


def found_in(texts, *steps, **options):
    return [finding.text for finding in seen_in(dataset_of(texts, *steps), **options).findings]


# --- what the numbers stand for


def test_the_vocabulary_of_each_key_is_found_in_the_chain():
    other = Vocab.words(["une femme"])
    steps = [Encode(VOCAB), Encode(other, key="target_text"), AddSpecials(other, key="target_tokens"), Truncate(3)]
    names, known = list(map(repr, steps)), {repr(step): step for step in steps}
    assert coders_after([], known).of == {}
    assert coders_after(names[:1], known) == Coders({"tokens": VOCAB})
    assert coders_after(names, known) == Coders({"tokens": VOCAB, "target_tokens": other})
    for step in (NextTokens(), MaskTokens(VOCAB)):
        after = coders_after([*names, "mine", repr(step)], {**known, repr(step): step})
        assert after == Coders({"tokens": VOCAB, "target_tokens": VOCAB}, is_aligned=True)
    only_target = coders_after([names[1], repr(NextTokens())], {**known, repr(NextTokens()): NextTokens()})
    assert only_target.of == {}  # what the target is now made of, nobody knows
    assert coders_after([repr(NextTokens())], {repr(NextTokens()): NextTokens()}) == Coders({}, is_aligned=True)


def test_vocabularies_of_datasets_inside_and_two_of_one_name():
    inner = dataset_of(NAMES, Encode(VOCAB))
    for outer in (Subset(inner, [0, 1]), Concat([inner, inner])):
        assert coders_after([repr(Encode(VOCAB))], steps_by_name(outer)).of == {"tokens": VOCAB}
    like = Vocab(reversed(VOCAB.tokens[5:]), "characters", specials=MASKED)
    assert repr(like) == repr(VOCAB)
    both = Concat([inner, dataset_of(NAMES, Encode(like)), inner])
    assert steps_by_name(both) == {}  # rather no letters than wrong ones
    chips = seen_in(both).coders_after(["loaded", repr(Encode(VOCAB))])
    assert chips.of == {}


def test_targets_that_belong_to_their_tokens_come_with_them():
    sample = {"tokens": torch.tensor([2, 5, 6, 3])}
    (shifted,) = tokens_in(NextTokens()(sample), Coders())
    assert (shifted.numbers.tolist(), shifted.targets.tolist()) == ([2, 5, 6], [5, 6, 3])
    assert not shifted.is_masked
    (hidden,) = tokens_in(MaskTokens(VOCAB, p=1.0, random=0.0, kept=0.0)(sample), Coders())
    assert (hidden.numbers.tolist(), hidden.targets.tolist()) == ([2, 4, 4, 3], [-100, 5, 6, -100])
    assert hidden.is_masked
    apart = {**sample, "target_tokens": torch.tensor([9, 8, 7, 6])}
    assert [one.key for one in tokens_in(apart, Coders())] == ["tokens", "target_tokens"]
    (known,) = tokens_in(apart, Coders({"tokens": VOCAB}, is_aligned=True))
    assert (known.coder, known.target_coder) == (VOCAB, None)
    longer = {**sample, "target_tokens": torch.tensor([5, 6, 3])}
    assert len(tokens_in(longer, Coders({}, is_aligned=True))) == 2


@pytest.mark.parametrize("value", [torch.rand(3), torch.zeros(2, 2).long(), "abc", None, ["a"], [True, False], 3])
def test_what_is_no_tokens_is_passed_over(value):
    assert tokens_in({"tokens": value}, Coders()) == tokens_in(value, Coders()) == []


def test_texts_and_lengths_of_a_sample():
    assert texts_in({"text": "a", "target_text": 3, "label": "b"}) == {"text": "a"}
    assert texts_in(("a", 1)) == {}
    for length, valid in [(2, 2), (torch.tensor(1), 1), (9, 3), (-1, 0), (True, 3), ("x", 3)]:
        assert tokens_in({"tokens": [5, 6, 0], "length": length}, Coders())[0].valid == valid
    assert (
        tokens_in({"waveform": 0, "tokens": np.array([5, 6]), "tokens_length": 1, "length": 2}, Coders())[0].valid == 1
    )


def test_kinds_of_numbers():
    numbers = np.array([[-100, -1, 0, 1], [2, 4, 5, len(VOCAB)]])
    expected = [["ignored", "outside", "pad", "unknown"], ["special", "special", "ordinary", "outside"]]
    assert kinds_of(numbers, VOCAB).tolist() == expected
    assert kinds_of(numbers, None).tolist() == [["ignored", *["ordinary"] * 3], ["ordinary"] * 4]
    assert kinds_of(np.empty(0, np.int64), VOCAB).tolist() == []


# --- batches


@pytest.mark.parametrize("combine", [collate.pad, collate.pack])
def test_a_batch_is_taken_apart_into_the_tokens_of_its_samples(combine):
    chain = Compose([Encode(VOCAB), AddSpecials(VOCAB), NextTokens()])
    samples = [chain({"text": text}) for text in NAMES]
    coders = Coders({"tokens": VOCAB, "target_tokens": VOCAB}, is_aligned=True)
    batches = token_batches(combine(samples), coders)
    assert [one.key for one in batches] == ["tokens", "target_tokens"]
    for one in batches:
        rows = zip(one.numbers, one.lengths, strict=True)
        assert [row[:length].tolist() for row, length in rows] == [sample[one.key].tolist() for sample in samples]
        assert one.kinds(9, 9).shape == (6, 5)
        assert (one.kinds(9, 9) == "pad").sum() == sum(5 - len(sample["tokens"]) for sample in samples)
        assert (one.packed is None) is (combine is collate.pad)
    if combine is collate.pack:
        counts = [sum(len(sample["tokens"]) > step for sample in samples) for step in range(5)]
        assert batches[0].packed.tolist() == counts


def test_hidden_places_of_a_batch():
    mask = MaskTokens(VOCAB, p=1.0, random=0.0, kept=0.0)
    samples = [Compose([Encode(VOCAB), AddSpecials(VOCAB), mask])({"text": text}) for text in NAMES]
    tokens, targets = token_batches(collate.pad(samples, value={"target_tokens": -100}), Coders({"tokens": VOCAB}))
    assert tokens.kinds(9, 9)[0].tolist() == ["special", "hidden", "hidden", "hidden", "special", "pad"]
    assert targets.kinds(9, 9)[0].tolist() == ["ignored", "ordinary", "ordinary", "ordinary", "ignored", "pad"]


def test_what_is_no_batch_of_tokens():
    for batch in (
        None,
        [1],
        {"tokens": torch.rand(2, 3)},
        {"tokens": torch.ones(3).long()},
        {"image": torch.rand(2, 3)},
    ):
        assert token_batches(batch, Coders()) == []
    packed = collate.pack([{"features": torch.rand(3, 2)}])
    assert token_batches({"tokens": packed["features"]}, Coders()) == []
    stacked = token_batches({"tokens": torch.ones(2, 3).long()}, Coders())
    assert stacked[0].lengths.tolist() == [3, 3]
    assert text_columns({"text": ["a", "b"], "target_text": [1, 2]}) == {"text": ["a", "b"]}
    assert text_columns(("a",)) == text_columns({"text": []}) == {}


def test_padding_is_that_of_the_lengths():
    dataset = dataset_of(NAMES, Encode(VOCAB))
    seen = seen_in(dataset, batch_size=6)
    lengths = [len(text) for text in seen.batch["text"]]
    assert padding_of(seen.batch).share == pytest.approx(1 - sum(lengths) / (6 * max(lengths)))


# --- the figures


def test_figures_of_texts_are_those_of_the_vocabulary_over_all_of_them(tutorial):
    pairs = TranslationPairs(tutorial, max_words=4)
    train = TranslationPairs(tutorial, split="train", max_words=4)
    eng = Vocab.words(train.texts(), min_count=3)
    fra = Vocab.characters((text for text in train.texts("target_text") if "é" not in text), max_size=40)
    chain = Compose([Encode(eng), Encode(fra, key="target_text"), AddSpecials(fra, key="target_tokens")])
    dataset = Subset(pairs, range(0, len(pairs), 4)).with_transform(chain)
    texts = [pairs.columns.column("text")[place] for place in range(0, len(pairs), 4)]
    targets = [pairs.columns.column("target_text")[place] for place in range(0, len(pairs), 4)]
    found = survey(dataset, records=None).texts
    by_key = {one.key: one for one in found.lengths}
    assert sorted(by_key["text"].lengths) == sorted(map(len, texts))
    assert by_key["text"].unit == by_key["target_text"].unit == "characters"
    assert sorted(by_key["tokens"].lengths) == sorted(len(text.split()) for text in texts)
    assert sorted(by_key["target_tokens"].lengths) == sorted(len(text) + 2 for text in targets)
    tokens, target_tokens = found.tokens
    for one, vocab, own in [(tokens, eng, texts), (target_tokens, fra, targets)]:
        truth = vocab.coverage(own)
        assert truth.unknown > 0
        assert (one.total - one.special, one.unknown) == (truth.tokens, truth.unknown)
        assert one.unknown_share == pytest.approx(truth.share)
        assert dict(one.missing) == truth.missing
        assert one.size == len(vocab)
        used = {int(number) for text in own for number in vocab.encode(text)}
        assert one.used == len(used) + (2 if one is target_tokens else 0)
    assert target_tokens.special == 2 * len(targets)
    assert (tokens.unit, target_tokens.unit) == ("words", "characters")


def test_figures_are_the_same_for_every_number_of_workers():
    names = Names.synthetic(n=60)
    vocab = Vocab.characters(list(names.texts())[:20], specials=MASKED)
    dataset = names.with_transform(Compose([Encode(vocab), MaskTokens(vocab, p=0.5)]))
    one, two = (survey(dataset, workers=workers).texts for workers in (0, 2))
    assert one.tokens == two.tokens
    assert [found.lengths.tolist() for found in one.lengths] == [found.lengths.tolist() for found in two.lengths]
    batches = Loader(dataset, seed=0, batch_size=1)
    hidden = sum(int((batch["target_tokens"] != -100).sum()) for batch in batches)
    assert one.tokens[1].total == hidden  # what the loss leaves out is not counted


def test_without_a_vocabulary_lengths_are_all_that_is_known():
    found = survey(dataset_of([{"tokens": torch.arange(length)} for length in (1, 4, 9)])).texts
    assert [(one.key, one.unit, sorted(one.lengths)) for one in found.lengths] == [("tokens", "tokens", [1, 4, 9])]
    assert found.tokens == ()
    assert survey(dataset_of([{"label": 1}])).texts is None


def test_two_vocabularies_of_one_dataset_have_no_common_share():
    both = Concat([dataset_of(NAMES, Encode(VOCAB)), dataset_of(NAMES, Encode(Vocab.words(NAMES)))])
    found = survey(both).texts
    assert found.tokens == ()
    assert len(found.lengths) == 2


def test_a_tokenizer_says_what_it_did_not_know():
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[PAD]": 0, "[UNK]": 1, "it": 2, "is": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["[PAD]"])
    found = survey(dataset_of(["it is cold", "is it late", "it is late"], Encode(made))).texts
    assert found.tokens[0].missing == (("late", 2), ("cold", 1))
    assert (found.tokens[0].unknown, found.tokens[0].total, found.tokens[0].size) == (3, 9, 4)


def test_missing_parts_of_a_text():
    assert missing("Ana-Än", VOCAB) == Counter({"-": 1, "Ä": 1})
    assert missing("so it goes so", Vocab.words(["it"])) == Counter({"so": 2, "goes": 1})
    assert missing("it,is", Vocab.words(["it"], pattern=r"\w+")) == Counter({"is": 1})

    class Bare:
        def encode(self, text):
            return [0]

        def decode(self, numbers):
            return ""

    assert missing("a", Encode(Bare()).codes) == Counter()


# --- what is wrong

CLEAN = "a sample of everything that ships has nothing wrong"


def chains(dataset, keys):
    """Chains with characters and words, in and out of order, for a dataset of these keys."""
    for make in (Vocab.characters, Vocab.words):
        vocabs = {key: make(dataset.texts(key), specials=MASKED) for key in keys}
        encoded = [Encode(vocabs[key], key=key) for key in keys]
        yield encoded
        if len(keys) == 1:
            marked = [*encoded, AddSpecials(vocabs["text"])]
            yield [*marked, NextTokens()]
            yield [*marked, Truncate(5)]
        else:
            yield [*encoded, AddSpecials(vocabs["target_text"], key="target_tokens")]


@pytest.mark.parametrize("real", [False, True], ids=["synthetic", "real"])
def test_nothing_is_wrong_with_the_datasets_as_they_are(real, request):
    root = request.getfixturevalue("tutorial") if real else None
    for cls, keys in ((Names, ("text",)), (TranslationPairs, ("text", "target_text"))):
        dataset = cls(root) if real else cls.synthetic(n=64)
        assert seen_in(dataset).findings == ()
        for steps in chains(dataset, keys):
            assert seen_in(dataset.with_transform(Compose(steps))).findings == (), (cls, steps)


def test_words_that_were_held_out_are_no_finding(tutorial):
    for split in ("train", "test"):
        pairs = TranslationPairs(tutorial, split=split)
        train = TranslationPairs(tutorial, split="train")
        vocabs = [Vocab.words(train.texts(key), min_count=3) for key in ("text", "target_text")]
        chain = Compose([Encode(vocabs[0]), Encode(vocabs[1], key="target_text")])
        assert seen_in(pairs.with_transform(chain)).findings == ()


def test_much_that_is_unknown():
    cyrillic = ["Анна", "Нина", "Ann", "Нана"] * 5
    (found,) = found_in(cyrillic, Encode(VOCAB), AddSpecials(VOCAB))
    assert found.startswith("80% of tokens are unknown to the vocabulary: 60 of 75 in 20 records; most often 'а' (")
    assert found_in(["Анна Ann"], Encode(VOCAB)) == []  # too few to say
    words = Vocab.words(["one two three"])
    assert found_in(["one two three four"] * 20, Encode(words)) == []
    assert "50% of tokens are unknown" in found_in(["one two four five"] * 20, Encode(words))[0]


def test_empty_texts_and_sequences():
    empty = found_in(["Ana", "", " \n"], Encode(VOCAB))
    assert empty[0].startswith("text is empty as loaded, in 2 of 3 samples")
    assert empty[1].startswith(f"tokens has no tokens after {Encode(VOCAB)!r}, in 1 of 3 samples")
    (cut,) = found_in(["Ana"], lambda sample: {**sample, "text": ""})
    assert cut.startswith("text is empty after ")


def test_numbers_of_another_vocabulary():
    larger = Vocab.characters(["Annabella"], specials=MASKED)

    def swapped(sample):
        return {**sample, "tokens": larger.encode("Annabella")}

    (found,) = found_in(["Ana"], Encode(VOCAB), swapped)
    outside = sum(number >= len(VOCAB) for number in larger.encode("Annabella").tolist())
    assert found.startswith(
        f"{outside} of 9 tokens in 1 of 1 samples are no numbers of the vocabulary of {len(VOCAB)} "
    )
    hidden = {"tokens": torch.tensor([4]), "target_tokens": torch.tensor([-100])}
    assert found_in([{**hidden, "text": "A"}], MaskTokens(VOCAB)) == []  # -100 is no number, and none is meant


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.ones(3, dtype=torch.int32), "int32 (3,)"),
        (torch.ones(1, 3).long(), "int64 (1, 3)"),
        (torch.ones(3), "float32 (3,)"),
        ([1, 2], "a list"),
        (np.ones(2, np.int64), None),
        (torch.ones(2).long(), None),
    ],
)
def test_tokens_of_another_type(value, said):
    found = [text for text in found_in([{"tokens": value}]) if "int64 (T,)" in text]
    assert found == ([] if said is None else [f"tokens is {said} as loaded, in 1 of 1 samples, not int64 (T,)"])


def test_a_target_that_is_its_input():
    def copied(sample):
        return {**sample, "target_tokens": sample["tokens"].clone()}

    (found,) = found_in(NAMES, Encode(VOCAB), copied)
    assert found.startswith("target_tokens is the same as tokens after ")
    assert "the target is the input" in found
    once = [{"tokens": torch.tensor([5, 6]), "target_tokens": torch.tensor([5, 6 + place])} for place in range(3)]
    assert found_in(once) == []  # one sentence that is the same in both languages


def test_padding_between_tokens():
    def with_pad(sample):
        return {**sample, "tokens": torch.cat([sample["tokens"], torch.tensor([0, 0]), sample["tokens"]])}

    (found,) = found_in(["Ana"], Encode(VOCAB), with_pad)
    assert "the number of the padding, 0, 2 times between other tokens" in found

    def padded(sample):
        return {**sample, "tokens": torch.nn.functional.pad(sample["tokens"], (2, 3))}

    assert found_in(["Ana"], Encode(VOCAB), padded) == []  # at either end it is padding
    nothing = Vocab(["<s>", "a"], "words", specials={"pad": "<p>"})
    assert found_in(["a <s> a"], Encode(nothing)) == []


def test_padding_with_a_token_of_the_vocabulary():
    bare = Vocab("aAn", "characters", specials={})
    (found,) = found_in(["Ana", "An"], Encode(bare))
    assert found == "the batch pads tokens with 0, which is the number of 'a'"
    assert found_in(["Ana", "Ann"], Encode(bare)) == []
    dataset = dataset_of(["Ana", "An"], Encode(bare))
    dataset.collate_fn = collate.pack
    assert seen_in(dataset).findings == ()


def test_a_loss_that_counts_padding():
    mask = Compose([Encode(VOCAB), MaskTokens(VOCAB, p=0.5)])
    dataset = dataset_of(NAMES, *mask.transforms)
    (found,) = seen_in(dataset).findings
    assert found.text.startswith("the batch pads target_tokens with 0, and the loss counts that")
    dataset.collate_fn = lambda samples: collate.pad(samples, value={"target_tokens": -100})
    assert seen_in(dataset).findings == ()


# --- what can be typed


def test_text_files_are_targets(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "texts" / "b.TXT").write_text("three\n")
    opened = open_target(str(tmp_path / "texts")).dataset
    assert isinstance(opened, TextLines)
    assert list(opened.texts()) == ["one", "two", "three"]
    file = open_target(str(tmp_path / "texts" / "a.txt"), transform=parse_transform("Truncate(3)")).dataset
    assert (list(file.texts()), repr(file.transform)) == (["one", "two"], "Truncate(3)")
    with pytest.raises(TargetError, match="is a file: --root goes with a name"):
        open_target(str(tmp_path / "texts" / "a.txt"), root=tmp_path)
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(TargetError, match=r"x\.csv is a file"):
        open_target(str(tmp_path / "x.csv"))


@pytest.mark.parametrize(
    "typed",
    [
        "Encode('v.json')",
        "Encode('v.json', key='target_text')",
        "AddSpecials('v.json', end=False)",
        "Truncate(5, side='start')",
        "NextTokens",
        "MaskTokens('v.json', p=0.3)",
    ],
)
def test_transforms_of_text_can_be_typed(typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    VOCAB.save("v.json")
    made = parse_transform(typed)
    assert repr(made).removesuffix("()") == typed
