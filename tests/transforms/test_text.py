"""Transforms of text: tokens, special ones, shifted targets, masks, tokenizers of Hugging Face, batches."""

import pickle

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from datakit import Key, Loader, collate
from datakit.coding import Tokenizer, coder_of
from datakit.errors import CollateError, CorruptDataError, MissingDataError, SampleError
from datakit.testing import assert_one_stream
from datakit.text import SPECIALS, Names, TranslationPairs, Vocab
from datakit.transforms import AddSpecials, Compose, Encode, MaskTokens, NextTokens, Truncate

VOCAB = Vocab.characters(["Anna Bo"], specials={**SPECIALS, "mask": "<mask>"})
TEXT = {"text": "Anna", "label": 1}


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer of words with special tokens around, as those of BERT."""
    tokenizers = pytest.importorskip("tokenizers", reason="the tokenizers of Hugging Face are not installed")
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: number for number, word in enumerate([*specials, "it", "is", "cold"])}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(specials)
    around = {"single": "[CLS] $A [SEP]", "special_tokens": [("[CLS]", 2), ("[SEP]", 3)]}
    made.post_processor = tokenizers.processors.TemplateProcessing(**around)
    return made


def test_text_becomes_tokens_and_stays():
    sample = Encode(VOCAB)(TEXT)
    assert sample["tokens"].tolist() == [VOCAB.number(char) for char in "Anna"]
    assert (sample["text"], sample["label"], "tokens" in TEXT) == ("Anna", 1, False)
    both = Compose([Encode(VOCAB), Encode(VOCAB, key="target_text")])({"text": "An", "target_text": "Bo"})
    assert VOCAB.decode(both["target_tokens"]) == "Bo"


def test_a_vocabulary_may_come_from_a_file(tmp_path):
    VOCAB.save(tmp_path / "vocab.json")
    encode = Encode(tmp_path / "vocab.json")
    assert encode(TEXT)["tokens"].tolist() == Encode(VOCAB)(TEXT)["tokens"].tolist()
    assert repr(encode) == f"Encode({str(tmp_path / 'vocab.json')!r})"
    assert encode == Encode(str(tmp_path / "vocab.json"))
    (tmp_path / "vocab.json").unlink()
    again = pickle.loads(pickle.dumps(encode))  # a worker needs no file
    assert again(TEXT)["tokens"].tolist() == encode(TEXT)["tokens"].tolist()
    with pytest.raises(MissingDataError):
        Encode(tmp_path / "vocab.json")


def test_a_tokenizer_serves_where_a_vocabulary_does(tokenizer, tmp_path):
    encode = Encode(tokenizer)
    assert repr(encode) == "Encode(Tokenizer(8 tokens))"
    assert encode({"text": "it was cold"})["tokens"].tolist() == [2, 5, 1, 7, 3] == tokenizer.encode("it was cold").ids
    assert encode == Encode(tokenizer)
    assert pickle.loads(pickle.dumps(encode))({"text": "is"})["tokens"].tolist() == [2, 6, 3]
    codes = encode.codes
    roles = {role: codes.of(role) for role in ("pad", "unknown", "start", "end", "mask")}
    assert roles == {"pad": 0, "unknown": 1, "start": 2, "end": 3, "mask": 4}
    assert [codes.is_special(number) for number in range(8)] == [True] * 5 + [False] * 3
    assert (codes.token(5), codes.token(99), len(codes)) == ("it", "", 8)
    assert codes.decode([2, 5, 7, 3]) == "it cold"
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert Encode(tmp_path / "tokenizer.json")({"text": "is it"})["tokens"].tolist() == [2, 6, 5, 3]
    (tmp_path / "tokenizer.json").write_text('{"model": {}}')
    with pytest.raises(CorruptDataError, match="no tokenizer"):
        Encode(tmp_path / "tokenizer.json")
    tokenizer.enable_padding(length=9, pad_id=0, pad_token="[PAD]")
    assert encode({"text": "is it"})["tokens"].tolist() == [2, 6, 5, 3]
    hidden = MaskTokens(tokenizer, p=1.0, random=0.0, kept=0.0)({"tokens": torch.tensor([2, 5, 7, 3])})
    assert hidden["tokens"].tolist() == [2, 4, 4, 3]


def test_a_tokenizer_of_transformers_is_asked_by_its_own_names():
    class Fast:
        pad_token_id, unk_token_id, bos_token_id, cls_token_id, eos_token_id = 1, 3, None, 0, 2
        all_special_ids = (0, 1, 2, 3)

        def __len__(self):
            return 9

        def encode(self, text):
            return [0, *(4 + len(word) for word in text.split()), 2]

        def decode(self, numbers, skip_special_tokens):
            return " ".join(str(number) for number in numbers if number > 3 or not skip_special_tokens)

        def convert_ids_to_tokens(self, number):
            return f"<{number}>"

    codes = coder_of(Fast())
    assert isinstance(codes, Tokenizer)
    assert codes.encode("a bb").tolist() == [0, 5, 6, 2]
    assert [codes.of(role) for role in ("pad", "unknown", "start", "end", "mask")] == [1, 3, 0, 2, None]
    assert (codes.token(7), len(codes), codes.decode([0, 5, 2])) == ("<7>", 9, "5")


def test_tokens_are_cut_and_marked():
    tokens = {"tokens": torch.tensor([7, 8, 9])}
    assert Truncate(2)(tokens)["tokens"].tolist() == [7, 8]
    assert Truncate(2, side="start")(tokens)["tokens"].tolist() == [8, 9]
    assert Truncate(9)(tokens)["tokens"].tolist() == [7, 8, 9]
    assert AddSpecials(VOCAB)(tokens)["tokens"].tolist() == [2, 7, 8, 9, 3]
    assert AddSpecials(VOCAB, start=False)(tokens)["tokens"].tolist() == [7, 8, 9, 3]
    assert AddSpecials(VOCAB, key="target_tokens")({"target_tokens": torch.tensor([5])})["target_tokens"].tolist() == [
        2,
        5,
        3,
    ]


def test_a_language_model_learns_the_next_token():
    sample = Compose([Encode(VOCAB), AddSpecials(VOCAB), NextTokens()])({"text": "Bo"})
    assert VOCAB.decode(sample["tokens"], specials=True) == "<s>Bo"
    assert VOCAB.decode(sample["target_tokens"], specials=True) == "Bo</s>"
    sample["target_tokens"][0] = 0
    assert sample["tokens"].tolist() == [2, *VOCAB.encode("Bo").tolist()]  # they share no memory


def test_masks_have_the_shares_that_are_asked_for():
    tokens = torch.from_numpy(np.random.default_rng(0).integers(5, len(VOCAB), 200_000))
    tokens[::10] = VOCAB.of("start")
    found = MaskTokens(VOCAB, p=0.3, random=0.2, kept=0.1)({"tokens": tokens}, rng=np.random.default_rng(1))
    masked, target = found["tokens"], found["target_tokens"]
    chosen = target != -100
    assert not chosen[::10].any()
    assert chosen.sum().item() == pytest.approx(0.3 * 180_000, rel=0.02)
    assert torch.equal(target[chosen], tokens[chosen])
    assert torch.equal(masked[~chosen], tokens[~chosen])
    hidden = (masked == VOCAB.of("mask")) & chosen
    assert hidden.sum().item() / chosen.sum().item() == pytest.approx(0.7, abs=0.01)
    others = masked[chosen & ~hidden]
    assert others.min() >= 5  # no special token comes up by chance
    ordinary = len(VOCAB) - 5
    same = (masked == tokens) & chosen
    assert same.sum().item() / chosen.sum().item() == pytest.approx(0.1 + 0.2 / ordinary, abs=0.01)


def test_masks_belong_to_the_key():
    names = Names.synthetic(n=24)
    vocab = Vocab.characters(names.texts(), specials={**SPECIALS, "mask": "<mask>"})
    hidden = names.with_transform(Compose([Encode(vocab), MaskTokens(vocab, p=0.5)]))
    assert_one_stream(hidden)
    first, again, other = (hidden[Key(0, epoch, 3)]["tokens"].tolist() for epoch in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("step", "sample", "message"),
    [
        (Encode(VOCAB), {"label": 1}, "needs 'text'"),
        (Encode(VOCAB), {"text": 3}, "needs 'text' as a str, got int"),
        (Encode(VOCAB, key="target_text"), {"text": "x"}, "needs 'target_text'"),
        (Truncate(2), {"text": "x"}, "needs 'tokens'"),
        (NextTokens(), {"tokens": torch.tensor([1])}, "two tokens at least, got 1; AddSpecials"),
        (
            NextTokens(),
            {"tokens": torch.tensor([1.0, 2.0])},
            r"int64 \(T,\), which Encode makes; got torch.float32",
        ),
        (MaskTokens(VOCAB), {"tokens": [1, 2]}, "got list"),
    ],
)
def test_a_sample_that_does_not_fit_is_named(step, sample, message):
    with pytest.raises(SampleError, match=message):
        Compose([step])(sample)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Encode(3), TypeError, "not by a int"),
        (lambda: Encode(VOCAB, key="label"), ValueError, "Encode takes key='text' or 'target_text', got 'label'"),
        (lambda: Truncate(0), ValueError, "1 token at least"),
        (lambda: Truncate(True), ValueError, "1 token at least"),
        (lambda: Truncate(2, side="left"), ValueError, "side='left'"),
        (lambda: MaskTokens(Vocab.characters(["a"])), ValueError, "needs a special token 'mask'"),
        (lambda: AddSpecials(Vocab(["a"], "words", specials={})), ValueError, "needs a special token 'start'"),
        (lambda: MaskTokens(VOCAB, p=1.5), ValueError, "p=1.5"),
        (lambda: MaskTokens(VOCAB, random=0.6, kept=0.6), ValueError, "p=1.2"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_padding_has_a_value_for_each_key():
    samples = [
        {"tokens": torch.tensor([5, 6, 7]), "target_tokens": torch.tensor([6, 7, 3]), "text": "a"},
        {"tokens": torch.tensor([8]), "target_tokens": torch.tensor([3]), "text": "b"},
    ]
    batch = collate.pad(samples, value={"target_tokens": -100})
    assert batch["tokens"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["target_tokens"].tolist() == [[6, 7, 3], [3, -100, -100]]
    assert batch["length"].tolist() == batch["target_tokens_length"].tolist() == [3, 1]
    assert collate.pad(samples, value=9)["tokens"].tolist() == [[5, 6, 7], [8, 9, 9]]


def test_a_packed_batch_is_that_of_torch():
    generator = torch.Generator().manual_seed(0)
    lengths = [3, 7, 1, 7, 4]
    samples = [
        {"tokens": torch.randint(9, (n,), generator=generator), "features": torch.randn(n + 1, 4, generator=generator),
         "waveform": torch.randn(1, n, generator=generator), "label": n}
        for n in lengths
    ]  # fmt: skip
    batch = collate.pack(samples)
    for key, more in (("tokens", 0), ("features", 1)):
        assert isinstance(batch[key], PackedSequence)
        expected = torch.nn.utils.rnn.pack_sequence([sample[key] for sample in samples], enforce_sorted=False)
        for one, other in zip(batch[key], expected, strict=True):
            torch.testing.assert_close(one, other)
        padded, steps = pad_packed_sequence(batch[key], batch_first=True)
        assert steps.tolist() == [n + more for n in lengths]
        torch.testing.assert_close(padded[2, : 1 + more], samples[2][key])
    assert batch["length"].tolist() == lengths
    assert batch["features_length"].tolist() == [n + 1 for n in lengths]
    assert batch["waveform"].shape == (5, 1, 7)
    assert batch["label"].tolist() == lengths


def test_what_is_never_padded_or_packed_is_told():
    samples = [{"text": "a", "index": 0}]
    with pytest.raises(CollateError, match="nothing to pack: samples have no tokens, which Encode makes"):
        collate.pack(samples)
    with pytest.raises(CollateError, match="padding of 'targets', which no sample has: text, index"):
        collate.pad(samples, value={"targets": -100})


def test_numbers_out_of_a_table_are_tokens():
    sample = NextTokens()({"tokens": np.array([4, 5, 6], np.int32)})
    assert sample["tokens"].dtype == torch.int64
    assert (sample["tokens"].tolist(), sample["target_tokens"].tolist()) == ([4, 5], [5, 6])


def test_what_cannot_be_packed_is_named():
    with pytest.raises(CollateError, match="key 'tokens': index 9 has no steps"):
        collate.pack([{"tokens": torch.tensor([1]), "index": 4}, {"tokens": torch.tensor([]).long(), "index": 9}])


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_of_the_usage_example(workers):
    names = Names.synthetic(n=40, split="train", seed=0)
    vocab = Vocab.characters(row["text"] for row in names.records())
    options = {"batch_size": 8, "seed": 0, "shuffle": True, "lengths": names.lengths(), "num_workers": workers}
    loader = Loader(names.with_transform(Encode(vocab)), collate_fn=collate.pack, **options)
    seen = []
    for batch in loader:
        padded, lengths = pad_packed_sequence(batch["tokens"], batch_first=True)
        assert lengths.tolist() == batch["length"].tolist()
        texts = [vocab.decode(row[:length]) for row, length in zip(padded, lengths.tolist(), strict=True)]
        assert texts == batch["text"]
        seen += batch["index"].tolist()
    assert sorted(seen) == list(range(len(names)))


def test_a_pair_keeps_its_two_lengths():
    pairs = TranslationPairs.synthetic(n=12)
    source, target = (Vocab.words(pairs.texts(key)) for key in ("text", "target_text"))
    chain = Compose([Encode(source), Encode(target, key="target_text"), AddSpecials(target, key="target_tokens")])
    batch = next(iter(Loader(pairs.with_transform(chain), batch_size=12)))
    assert batch["length"].tolist() == [len(text.split()) for text in batch["text"]]
    assert batch["target_tokens_length"].tolist() == [len(text.split()) + 2 for text in batch["target_text"]]


def test_a_mask_prints_as_it_was_typed():
    assert repr(MaskTokens(VOCAB)) == f"MaskTokens({VOCAB!r})"
    assert repr(MaskTokens(VOCAB, p=0.5)) == f"MaskTokens({VOCAB!r}, p=0.5)"
