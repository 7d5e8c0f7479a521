"""Networks take turns on a device within its memory, and what they decode stays the same."""

import dataclasses
import gc
import threading

import numpy as np
import pytest
import torch
from families import SIZES, WRITERS
from test_contract import image
from torch import nn

from explorer.decoder.bridged import BridgedDecoder
from explorer.device import USABLE, Device, offload_layers
from explorer.device.amounts import free_memory, parse_memory
from explorer.device.batches import Batches
from explorer.device.footprint import footprint, outline, weight_bytes
from explorer.errors import QueryError
from explorer.models import load
from explorer.models.shared.checkpoint import stored_bytes
from explorer.notes import collecting
from explorer.settings import Settings


def linear(inward, outward):
    return lambda: nn.Linear(inward, outward, bias=False)  # 4 · inward · outward bytes


class Moved(nn.Linear):
    """A layer that records where it is sent, and stays on the CPU, which is all that there is."""

    log: list[tuple[int, str]]

    def to(self, device):
        self.log.append((self.out_features, device))
        return self


def tower(log, rows):
    layer = Moved(10, rows, bias=False)
    layer.log = log
    return layer


def test_without_a_limit_all_networks_stay():
    device = Device("cpu")
    for name in "abc":
        device.network(name, linear(100, 100))
    assert device.limit is None
    assert device.placed == ("a", "b", "c")


def test_those_used_longest_ago_make_room_and_no_more_than_needed():
    device = Device("cpu", memory=round(100_000 / USABLE + 1))
    for name in "ab":
        device.network(name, linear(100, 100))
    device.network("a", linear(100, 100))
    device.network("c", linear(100, 100), size=lambda: 40_000)
    assert device.placed == ("a", "c")
    device.network("d", linear(100, 40), size=lambda: 16_000)
    assert device.placed == ("a", "c", "d")


def test_on_the_cpu_what_makes_room_is_freed_before_the_next_is_loaded():
    device = Device("cpu", memory=int(50_000 / USABLE))
    held = []

    def second():
        gc.collect()
        held.append(sum(type(each) is Moved for each in gc.get_objects()))
        return tower([], 900)

    device.network("a", lambda: tower([], 1000))
    device.network("b", second, size=lambda: 36_000)
    assert held == [0]
    again = device.network("a", lambda: tower([], 999))
    assert again.out_features == 999


def test_what_cannot_be_loaded_again_is_never_dropped():
    device, own = Device("cpu", memory=int(50_000 / USABLE)), nn.Linear(100, 100, bias=False)
    device.network("own", lambda: own, keep=True)
    device.network("b", linear(100, 100))
    assert device.network("own", lambda: pytest.fail("loaded twice")) is own


def test_on_an_accelerator_networks_go_there_and_back_in_turn():
    log = []
    device = Device("cuda:7", memory=round(120_000 / USABLE + 1))
    for rows in (1000, 1500, 1000):  # 40 and 60 kB: both fit
        device.network(str(rows), lambda rows=rows: tower(log, rows))
    assert log == [(1000, "cuda:7"), (1500, "cuda:7")]
    device.network("900", lambda: tower(log, 900))
    assert log[2:] == [(1500, "cpu"), (900, "cuda:7")]
    device.network("2000", lambda: tower(log, 2000))
    assert log[4:] == [(1000, "cpu"), (2000, "cuda:7")]
    on_it = {}
    for rows, place in log:  # replayed: never more on the device than the limit
        on_it[rows] = 40 * rows * (place != "cpu")
        assert sum(on_it.values()) <= device.limit


def test_a_call_keeps_room_for_its_work_beside_the_weights():
    device = Device("cpu", memory=round(100_000 / USABLE + 1))
    x = torch.empty(1, 100, device="meta")
    call = lambda: device.network("b", linear(100, 100))(x)  # noqa: E731
    device.network("a", linear(100, 100))
    assert device.rows("work", call, 10_000) == (100_000 - 40_000) // 400
    device.network("b", linear(100, 100))
    assert device.placed == ("b",)  # its rows fill what is left
    assert device.rows("work", call, 8) == 8
    assert device.fits("fits", call)
    assert not device.fits("too much", lambda: call().new_empty(100_000))
    assert Device("cpu").rows("any", lambda: pytest.fail("measured"), 7) == 7


def test_layer_by_layer_gives_the_same_and_holds_one_layer_at_a_time():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 5)).eval()
    x = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        before = network(x)
    network.requires_grad_(False).double()  # at rest; so what is sent can be told from it
    offload_layers(network, torch.float32)
    seen = []
    for layer in (network[0], network[2]):
        layer.register_forward_hook(
            lambda *_: seen.append([p.dtype for p in network.parameters()]), prepend=True
        )
    with torch.inference_mode():
        assert torch.allclose(network(x), before, atol=1e-6)
    sent, resting = [torch.float32] * 2, [torch.float64] * 2
    assert seen == [sent + resting, resting + sent]
    assert {p.dtype for p in network.parameters()} == {torch.float64}


def test_a_network_too_large_for_the_device_is_not_sent_there_whole():
    log = []
    device = Device("cuda:7", memory=round(100_000 / USABLE + 1))
    device.network("small", lambda: tower(log, 100))
    large = nn.Sequential(nn.Linear(200, 200), nn.Linear(200, 200))
    large.to = lambda *a: pytest.fail("sent whole")
    assert device.network("large", lambda: large) is large
    assert [len(layer._forward_pre_hooks) for layer in large] == [1, 1]
    assert log == [(100, "cuda:7")]  # what is small stays beside it


def test_one_thread_at_a_time_has_its_turn():
    device, order = Device("cpu"), []
    with device.turn:
        other = threading.Thread(target=lambda: (device.turn.acquire(), order.append("other")))
        other.start()
        other.join(0.05)
        order.append("first")
    other.join(5)
    assert order == ["first", "other"]


@pytest.mark.parametrize("amount", ["lots", "8", "-1GB", "0MB", "nanGB", True, 0, "8 TB"])
def test_what_is_no_amount_of_memory_is_refused(amount):
    with pytest.raises(QueryError, match="such as 8GB"):
        parse_memory(amount)


def test_the_cpu_sets_no_limit_unless_a_person_does():
    assert free_memory("cpu") is None
    assert Device.of("cpu", "1GB").limit == int(1e9 * USABLE)
    there = Device("cpu", 1)
    assert Device.of(there) is there


def refusing(most, error=MemoryError):
    """A call that takes at most so many rows, and records what it was asked."""
    asked = []

    def call(rows):
        asked.append(rows.stop - rows.start)
        if asked[-1] > most:
            raise error("CUDA out of memory. Tried to allocate 2 GiB")
        return list(range(rows.start, rows.stop))

    return call, asked


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_out_of_memory_halves_the_batch_and_goes_on(error):
    call, asked = refusing(2, error)
    with collecting() as notes:
        done = [row for part in Batches(8).run(11, call) for row in part]
    assert done == list(range(11))
    assert asked == [8, 4, 2, 2, 2, 2, 2, 1]
    assert notes[-1] == "The memory did not suffice for 4 at once: 2 are computed at a time."


def test_a_single_row_too_many_and_other_errors_are_raised():
    with pytest.raises(MemoryError):
        list(Batches(8).run(3, refusing(0)[0]))
    call, asked = refusing(1, lambda text: RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(Batches(8).run(3, call))
    assert asked == [3]


def test_what_failed_is_freed_before_it_is_tried_again():
    class Big:
        pass

    alive = []

    def call(rows):
        gc.collect()
        alive.append(sum(type(each) is Big for each in gc.get_objects()))
        held = Big()
        if rows.stop - rows.start > 1:
            raise MemoryError(str(held))
        return rows

    list(Batches(4).run(4, call))
    assert set(alive) == {0}


def profiled(call):
    """Return the most bytes that torch's own allocator gave out during a call."""
    from torch.profiler import ProfilerActivity, profile

    with torch.inference_mode():
        call()  # what is made once is not counted
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            call()
    events = seen.profiler.kineto_results.events()
    sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return int(np.cumsum(sizes).max())


def test_the_footprint_on_meta_is_what_the_allocator_gives_out():
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=32, block_out_channels=(32, 64), cross_attention_dim=16, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4,
    ).eval()  # fmt: skip
    latents, words = torch.randn(2, 4, 32, 32), torch.randn(2, 7, 16)
    t = torch.tensor([3.0, 3.0])
    calls = [(unet, (latents, t, words), "forward"), (vae, (latents,), "decode")]
    for network, inputs, verb in calls:
        empty = [x.to("meta") for x in inputs]
        drawn = outline(network)
        assert weight_bytes(drawn) == weight_bytes(network)
        planned = footprint(lambda: getattr(drawn, verb)(*empty)).peak  # noqa: B023
        measured = profiled(lambda: getattr(network, verb)(*inputs))  # noqa: B023
        assert planned == pytest.approx(measured, rel=0.05)


def test_operations_are_counted_as_by_hand():
    q = torch.empty(2, 3, 5, 8, device="meta")
    k = torch.empty(2, 3, 7, 8, device="meta")
    found = footprint(lambda: nn.functional.scaled_dot_product_attention(q, k, k))
    assert found.flops == 2 * 2 * 3 * 5 * 7 * (8 + 8)
    assert found.peak == 4 * 2 * 3 * 5 * 8  # the result, and no matrix of 5 by 7


@pytest.fixture(scope="module", params=WRITERS)
def family(request, tmp_path_factory):
    folder = WRITERS[request.param](tmp_path_factory.mktemp("memory") / request.param)
    return request.param, folder


def decoded(name, model, points):
    settings = Settings(steps=2)
    if name in SIZES:
        sized = model.decoder.with_options(image_size=SIZES[name])
        model = dataclasses.replace(model, decoder=sized)
    images = [np.asarray(x) for x in model.decoder.decode(points, settings)]
    redrawn = model.decoder.redraw([image(0)], points, Settings(steps=2, strength=0.5))
    words = model.prior.sample(["a cat"]).vectors if model.prior else np.zeros(1)
    return np.stack([*images, *map(np.asarray, redrawn)]), words


def test_every_family_gives_the_same_where_its_networks_take_turns(family):
    name, folder = family
    whole = load(name, source=folder, device="cpu")
    points = whole.encoder.encode_images([image(seed) for seed in range(3)])
    images, words = decoded(name, whole, points)
    sizes = whole.encoder.on._placed
    largest = max(sizes.values())
    tight = load(name, source=folder, device="cpu", memory=int(1.2 * largest / USABLE))
    seen = watched(tight.encoder.on)
    again = tight.encoder.encode_images([image(seed) for seed in range(3)])
    assert np.allclose(again.vectors, points.vectors, atol=1e-5)
    turns, their_words = decoded(name, tight, points)
    assert np.abs(turns.astype(int) - images).max() <= 1
    assert np.allclose(their_words, words, atol=1e-4)
    assert len({key for keys in seen for key in keys}) == len(sizes)  # all were on it
    assert all(sum(sizes[key] for key in keys) <= tight.encoder.on.limit for keys in seen)


def watched(device):
    """Return a list that gets the networks that really exist whenever one is used."""
    seen, network = [], device.network

    def spy(key, *args, **options):
        found = network(key, *args, **options)
        seen.append(tuple(device._loaded))
        assert set(device.placed) == set(device._loaded)
        return found

    device.network = spy
    return seen


def test_the_bytes_on_disk_say_what_a_network_will_take(family):
    name, folder = family
    model = load(name, source=folder, device="cpu")
    decoded(name, model, model.encoder.encode_images([image(0)]))
    for key, size in model.encoder.on._placed.items():
        where, *dtype = key.split(" ")
        if where.startswith("openclip") or len(dtype) != 2 or dtype[1]:
            continue  # it lies in another layout, or a part of it in a file of its own
        # positions and causal masks are not stored
        assert 0 <= size - stored_bytes(type(folder)(where), dtype[0]) <= 4096


def test_a_bridged_decoder_takes_turns_with_the_model_that_it_leads_to(tmp_path):
    from explorer.bridge import Bridge

    name = "kandinsky-2.2"
    folder = WRITERS[name](tmp_path / name)
    model = load(name, source=folder, device="cpu", memory="1MB")
    points = model.encoder.encode_images([image(seed) for seed in range(16)])
    bridged = BridgedDecoder(model.decoder, Bridge.fit(points, points))
    assert bridged.on is model.encoder.on


def test_an_autoencoder_works_in_tiles_only_where_a_whole_image_does_not_fit(tmp_path):
    name = "stable-unclip"
    folder = WRITERS[name](tmp_path / name)
    for memory, tiled in (("1GB", False), ("1MB", True)):
        model = load(name, source=folder, device="cpu", memory=memory)
        decoder = model.decoder.with_options(image_size=(64, 64))
        points = model.encoder.encode_images([image(0)])
        (found,) = decoder.decode(points, Settings(steps=2))
        assert found.size == (64, 64)
        assert decoder._codec().use_tiling is tiled
