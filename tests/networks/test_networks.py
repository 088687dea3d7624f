"""Networks: shapes for every size, and gradients everywhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ancestral.networks import (
    AsImage,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    DenseNetwork,
    ResidualNetwork,
    SharedParameters,
)

SIZES = [(28, 20, 1), (8, 8, 1), (7, 5, 1), (32, 32, 3), (1, 9, 3), (65, 71, 1)]
CHANNELS = (4, 6, 8)

INSTANCES = [
    (lambda: DenseNetwork(5, (), 3), (5,), (3,)),
    (lambda: DenseNetwork(5, (7, 6), 3, nn.Tanh), (5,), (3,)),
    (lambda: ResidualNetwork(5, 8, 0, 3), (5,), (3,)),
    (lambda: ResidualNetwork(5, 8, 2, 3, dropout=0.2), (5,), (3,)),
    (lambda: SharedParameters(nn.Linear(5, 3), 2, repeats=3), (5,), (9,)),
    (lambda: AsImage((6, 4), (6, 4, 1)), (6, 4), (6, 4, 1)),
    *[(lambda s=s: ConvolutionalEncoder(s, CHANNELS, 10), s, (10,)) for s in SIZES],
    *[
        (
            lambda s=s: ConvolutionalDecoder(10, CHANNELS[::-1], (2, *s)),
            (10,),
            (2 * s[0] * s[1] * s[2],),
        )
        for s in SIZES
    ],
    (lambda: ConvolutionalEncoder((9, 9, 1), (4,), 2, num_blocks=0), (9, 9, 1), (2,)),
    (lambda: ConvolutionalDecoder(3, (4,), (1, 9, 9, 1), num_blocks=2), (3,), (81,)),
]
parametrize = pytest.mark.parametrize(
    ("make", "input_shape", "output_shape"), INSTANCES, ids=[str(i) for i in range(len(INSTANCES))]
)


@parametrize
@pytest.mark.parametrize("lead", [(), (1,), (4,), (3, 2), (0,)])
def test_shapes_under_any_leading_axes(make, input_shape, output_shape, lead):
    network = make().eval()
    x = torch.randn(*lead, *input_shape)
    y = network(x)
    assert y.shape == (*lead, *output_shape)
    if lead == (3, 2):  # each row is computed by itself
        torch.testing.assert_close(y[1, 0], network(x[1, 0]))


@parametrize
def test_every_parameter_gets_a_gradient(make, input_shape, output_shape):
    network = make()
    with torch.no_grad():  # some blocks start as the identity, with gradients of zero inside
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(5, *input_shape, requires_grad=True)
    network(x).square().sum().backward()
    assert float(x.grad.abs().sum()) > 0
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


def test_dense_network_is_what_it_says():
    network = DenseNetwork(3, (4,), 2, nn.Tanh)
    first, _, last = network
    x = torch.randn(5, 3)
    expected = torch.tanh(x @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(network(x), expected)
    assert network.output_layer is last


def test_residual_network_is_what_it_says():
    network = ResidualNetwork(3, 4, 1, 2)
    x = torch.randn(5, 3)

    def squashed(h):
        h = (h - h.mean(-1, keepdim=True)) / (h.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        return h * h.sigmoid()

    h = network.input_layer(x)
    h = h + network.blocks[0][-1](squashed(h))
    torch.testing.assert_close(network(x), network.output_layer(squashed(h)))


def test_dropout_is_for_training_only():
    network = ResidualNetwork(5, 64, 2, 3, dropout=0.5)
    x = torch.randn(4, 5)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("size", SIZES)
def test_convolutions_see_and_draw_every_pixel(size):
    encoder = ConvolutionalEncoder(size, CHANNELS, 10)
    x = torch.randn(1, *size, requires_grad=True)
    encoder(x).square().sum().backward()
    assert bool((x.grad != 0).all())
    decoder = ConvolutionalDecoder(10, CHANNELS[::-1], (2, *size))
    assert bool((decoder(torch.randn(2, 10)).std(0) > 0).all())


def test_decoder_features_are_parameters_then_pixels_then_colours():
    decoder = ConvolutionalDecoder(4, (3,), (2, 5, 6, 3))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.zero_()
        decoder.output_bias[1, 4, 2, 0] = 7.0
    features = decoder(torch.zeros(1, 4)).unflatten(-1, (2, 5, 6, 3))
    assert features.nonzero().tolist() == [[0, 1, 4, 2, 0]]


def test_shared_parameters_are_appended():
    network = SharedParameters(nn.Linear(3, 5), num_shared=2, repeats=2)
    with torch.no_grad():
        network.shared.copy_(torch.tensor([1.0, -1.0]))
    y = network(torch.randn(4, 3))
    assert y[:, 5:].tolist() == [[1, 1, -1, -1]] * 4
