"""`Seq2Seq` is the net of the tutorial, whatever batch a sequence is in; n-grams are what their formula says."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from datakit.reference.seq2seq import Attention, Read, Seq2Seq
from datakit.reference.word_ngrams import WordNgrams

START, END = 2, 3


class TutorialNet(nn.Module):
    """EncoderRNN, BahdanauAttention and AttnDecoderRNN of the tutorial, one sentence at a time, names as there."""

    def __init__(self, source_size, target_size, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(source_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.Wa, self.Ua = nn.Linear(hidden_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)
        self.decoder_embedding = nn.Embedding(target_size, hidden_size)
        self.decoder_gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, target_size)

    def forward(self, source, given):
        keys, hidden = self.gru(self.embedding(source))
        outputs = []
        for word in given.unbind(1):
            query = hidden.permute(1, 0, 2)
            scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1)
            context = torch.bmm(torch.softmax(scores, dim=-1), keys)
            step = torch.cat((self.decoder_embedding(word[:, None]), context), dim=2)
            output, hidden = self.decoder_gru(step, hidden)
            outputs.append(self.out(output))
        return torch.cat(outputs, dim=1)


def tutorial_net(net):
    """With the weights of ours."""
    own = TutorialNet(net.source.num_embeddings, net.target.num_embeddings, net.source.embedding_dim).double()
    pairs = {
        "embedding": net.source, "gru": net.encoder, "Wa": net.attention.query, "Ua": net.attention.key,
        "Va": net.attention.score, "decoder_embedding": net.target, "out": net.scores,
    }  # fmt: skip
    for name, part in pairs.items():
        getattr(own, name).load_state_dict(part.state_dict())
    own.decoder_gru.load_state_dict({f"{key}_l0": value for key, value in net.decoder.state_dict().items()})
    return own


@pytest.fixture
def net():
    """In float64, with weights that are large enough for sure choices."""
    torch.manual_seed(5)
    made = Seq2Seq(11, 9, width=12).double().eval()
    for weights in made.parameters():
        nn.init.uniform_(weights, -0.9, 0.9)
    with torch.no_grad():
        made.scores.bias[END] += 0.5  # so that some sentences end
    return made


@pytest.fixture
def sentences():
    """Sources of one to seven tokens, and translations of other lengths."""
    generator = torch.Generator().manual_seed(1)

    def draw(size, most):
        return torch.randint(4, most, (size,), generator=generator)

    lengths = [(3, 5), (7, 1), (1, 4), (2, 2), (5, 6)]
    return [(draw(one, 11), torch.cat((torch.tensor([START]), draw(other, 9)))) for one, other in lengths]


def padded(rows, value=0):
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


@pytest.mark.parametrize("padding", [0, 8])
def test_a_batch_gives_what_the_tutorial_gives_one_by_one(net, sentences, padding):
    sources, given = zip(*sentences, strict=True)
    lengths = torch.tensor(list(map(len, sources)))
    own = tutorial_net(net)
    with torch.no_grad():
        found = net(padded(sources, padding), lengths, padded(given))
        for row, source, words in zip(found, sources, given, strict=True):
            torch.testing.assert_close(row[: len(words)], own(source[None], words[None])[0])


def test_attention_is_what_a_plain_loop_over_words_gives():
    torch.manual_seed(2)
    attention, (states, state) = Attention(4).double(), (torch.randn(3, 5, 4).double(), torch.randn(3, 4).double())
    lengths = [5, 2, 1]
    inside = torch.arange(5) < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        seen, weights = attention(state, Read(states, attention.key(states), inside, state))
    part = {name: value.numpy() for name, value in attention.state_dict().items()}
    for member, length in enumerate(lengths):
        query = part["query.weight"] @ state[member].numpy() + part["query.bias"]
        scores = []
        for place in range(length):
            key = part["key.weight"] @ states[member, place].numpy() + part["key.bias"]
            scores.append(math.exp(part["score.weight"][0] @ np.tanh(query + key) + part["score.bias"][0]))
        expected = [score / sum(scores) for score in scores]
        assert weights[member].tolist() == pytest.approx([*expected, *[0] * (5 - length)])
        mean = sum(weight * states[member, place].numpy() for place, weight in enumerate(expected))
        assert seen[member].tolist() == pytest.approx(mean.tolist())


def test_greedy_in_a_batch_is_greedy_alone_and_follows_the_best_word(net, sentences):
    sources = [source for source, _ in sentences]
    lengths = torch.tensor(list(map(len, sources)))
    found, looked = net.greedy(padded(sources), lengths, START, END, 9)
    assert {len(row) == 9 for row in found} == {True, False}  # some end before
    for row, weights, source in zip(found, looked, sources, strict=True):
        alone, maps = net.greedy(source[None], torch.tensor([len(source)]), START, END, 9)
        assert alone == [row]
        torch.testing.assert_close(weights, maps[0])
        assert weights.shape == (len(row) + 1, len(source))
        torch.testing.assert_close(weights.sum(1), torch.ones(len(row) + 1, dtype=torch.float64))
        with torch.no_grad():
            best = net(source[None], torch.tensor([len(source)]), torch.tensor([[START, *row]])).argmax(2)[0].tolist()
        assert best[: len(row)] == row
        assert best[-1] == END or len(row) == 9


def test_chances_of_all_words_are_1_together():
    sentences = ["a b a", "b b c", "a c", "c"]
    for order in (1, 2, 3, 4):
        counted = WordNgrams(sentences, order)
        for before in ([], ["a"], ["b", "a"], ["x", "y"], ["<s>", "<s>", "a"]):
            total = sum(counted.chance(before, word) for word in ("a", "b", "c", "</s>"))
            assert total == pytest.approx(1)


def test_the_loss_of_pairs_of_words_is_what_the_formula_gives():
    sentences, held_out = ["a b a", "b b c", "a c"], ["a b c", "c d"]
    rows = [["<s>", *sentence.split(), "</s>"] for sentence in sentences]
    pairs = [pair for row in rows for pair in pairwise(row)]
    words = [word for _, word in pairs]

    def smoothed(found, word, below):
        different = len(set(found))
        return (found.count(word) + different * below) / (len(found) + different)

    losses = []
    for sentence in held_out:
        for before, word in pairwise(["<s>", *sentence.split(), "</s>"]):
            if word == "d":  # never seen
                continue
            after = [second for first, second in pairs if first == before]
            single = smoothed(words, word, 1 / 4)
            losses.append(-math.log(smoothed(after, word, single) if after else single))
    assert WordNgrams(sentences, 2).loss(held_out) == pytest.approx(np.mean(losses))
