"""The denoising loop against diffusers' own schedulers, and inversion against a solved case."""

from functools import cache

import diffusers
import pytest
import torch
from diffusers import (
    DDIMInverseScheduler,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
)

from explorer import sampler
from explorer.errors import QueryError
from explorer.noise import draw
from explorer.sampler import Known
from explorer.settings import Settings

COSINE = {"beta_schedule": "squaredcos_cap_v2", "clip_sample": False}
STABLE = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
SHAPE = (3, 8, 8)

# diffusers 0.42 calls np.array on a tensor, to which numpy 2 objects
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@cache
def levels(schedule):
    return DDIMScheduler.from_config(dict(schedule)).alphas_cumprod


def gaussian(config, mean, deviation=0.25):
    """The exact denoiser of data that are normal around `mean`."""
    alphas = levels(tuple((k, v) for k, v in config.items() if k.startswith("beta")))

    def denoiser(latents, t):
        alpha = alphas.to(latents.dtype)[t].view(-1, 1, 1, 1)
        variance = alpha * deviation**2 + 1 - alpha
        noise = (1 - alpha).sqrt() * (latents - alpha.sqrt() * mean) / variance
        # the same thing without the cancellation near pure noise
        gain = alpha.sqrt() * deviation**2 / variance
        image = mean + gain * (latents - alpha.sqrt() * mean)
        return {
            "epsilon": noise,
            "sample": image,
            "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * image,
        }[config.get("prediction_type", "epsilon")]

    return denoiser


def starts(n, seed=0):
    return torch.randn((n, *SHAPE), generator=torch.Generator().manual_seed(seed))


def result(*args):
    return sampler.last(sampler.denoise(*args)).latents


def rms(a, b):
    return float((a - b).pow(2).mean().sqrt())


FAST = {"dpm": DPMSolverMultistepScheduler, "unipc": UniPCMultistepScheduler}
SOLVERS = {"ddim": DDIMScheduler} | FAST


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("base", [COSINE, STABLE], ids=["cosine", "stable"])
@pytest.mark.parametrize(
    ("solver", "eta"), [("ddim", 0.0), ("ddim", 0.5), ("ddim", 1.0), ("dpm", 0.0), ("unipc", 0.0)]
)
def test_the_loop_agrees_with_a_plain_loop_over_diffusers_schedulers(solver, eta, base, prediction):
    config = {**base, "prediction_type": prediction}
    denoiser, noise, steps = gaussian(config, starts(1, 5)), starts(2), 12
    scheduler = SOLVERS[solver].from_config({"timestep_spacing": "leading", **config})
    scheduler.set_timesteps(steps)
    generators, x = [torch.Generator().manual_seed(s) for s in (1, 2)], noise
    for t in scheduler.timesteps:
        more = {}
        if eta:
            fresh = torch.stack([torch.randn(SHAPE, generator=g) for g in generators])
            more = {"eta": eta, "variance_noise": fresh}
        x = scheduler.step(denoiser(x, t.expand(2)), t, x, **more).prev_sample

    ours = [torch.Generator().manual_seed(s) for s in (1, 2)]
    settings = Settings(steps=steps, eta=eta, solver=solver)
    assert torch.allclose(result(denoiser, noise, config, settings, ours), x, atol=2e-5)


OWN = {  # as released: Kandinsky, Karlo, Stable Diffusion 1.5 and XL, and one more
    "DDPMScheduler": STABLE,
    "UnCLIPScheduler": {"variance_type": "fixed_small_log", "clip_sample": False},
    "PNDMScheduler": STABLE | {"skip_prk_steps": True},
    "EulerDiscreteScheduler": STABLE | {"timestep_spacing": "leading"},
    "DDIMScheduler": STABLE,
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_checkpoints_own_scheduler_runs_as_in_diffusers_pipelines(name, rows):
    config = {"_class_name": name, **OWN[name]}
    levels_of = OWN[name] if "beta_schedule" in OWN[name] else COSINE
    denoiser, noise, steps = gaussian(levels_of, starts(1, 5)), starts(rows), 10
    scheduler = getattr(diffusers, name).from_config(config)
    scheduler.set_timesteps(steps)
    random = [torch.Generator().manual_seed(s) for s in range(rows)]
    with_noise = {} if name == "PNDMScheduler" else {"generator": random}
    x = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        output = denoiser(scheduler.scale_model_input(x, t), t.long().expand(rows))
        x = scheduler.step(output, t, x, **with_noise).prev_sample

    ours = [torch.Generator().manual_seed(s) for s in range(rows)]
    whole = lambda x, t: denoiser(x, t.long())  # noqa: E731
    found = list(sampler.denoise(whole, noise, config, Settings(steps=steps, solver="own"), ours))
    assert torch.allclose(found[-1].latents, x, atol=1e-5)
    assert [step.total for step in found] == [len(scheduler.timesteps)] * len(found)
    if rows == 3:
        third = [torch.Generator().manual_seed(2)]
        alone = result(whole, noise[2:], config, Settings(steps=steps, solver="own"), third)
        assert torch.allclose(alone, x[2:], atol=1e-5)


@pytest.mark.parametrize("solver", [*SOLVERS, "own"])
def test_a_learned_variance_is_for_the_schedulers_that_read_one(solver):
    seen = []
    plain = gaussian(COSINE, starts(1, 5))

    def both(latents, t):
        seen.append(latents.shape[1])
        return torch.cat([plain(latents, t), torch.full_like(latents, 0.3)], 1)

    config = COSINE | {"_class_name": "DDPMScheduler"}
    given = starts(1), config, Settings(steps=5, solver=solver), [torch.Generator().manual_seed(1)]
    same = starts(1), config, Settings(steps=5, solver=solver), [torch.Generator().manual_seed(1)]
    assert torch.equal(result(both, *given), result(plain, *same))
    assert set(seen) == {3}
    if solver == "own":
        learned = config | {"variance_type": "learned_range"}
        random = [torch.Generator().manual_seed(1)]
        other = result(both, starts(1), learned, Settings(steps=5, solver=solver), random)
        assert not torch.allclose(other, result(plain, *same[:3], random), atol=1e-3)


def test_inversion_leaves_a_learned_variance_out():
    plain, original = gaussian(COSINE, 0.0), 0.25 * starts(1, 6)
    both = lambda x, t: plain(x, t).repeat(1, 2, 1, 1)  # noqa: E731
    found = [sampler.last(sampler.invert(d, original, COSINE, 5)).latents for d in (plain, both)]
    assert torch.equal(*found)


def test_what_a_config_leaves_out_is_as_in_the_class_that_it_names():
    named = {"_class_name": "UnCLIPScheduler"}  # cosine, and clips
    far = gaussian(COSINE, torch.full((1, *SHAPE), 3.0))
    for solver in SOLVERS:
        clipped = result(
            far, starts(1), COSINE | {"clip_sample": True}, Settings(steps=5, solver=solver)
        )
        assert torch.equal(result(far, starts(1), named, Settings(steps=5, solver=solver)), clipped)


@pytest.mark.parametrize("config", [COSINE, COSINE | {"_class_name": "Popen"}])
def test_a_config_without_a_scheduler_of_its_own_says_what_to_take(config):
    with pytest.raises(QueryError, match='Choose "ddim"'):
        sampler.schedule(config, Settings(steps=5, solver="own"))


def test_karlos_scheduler_with_one_step_is_refused():
    with pytest.raises(QueryError, match="such as 50"):
        sampler.schedule({"_class_name": "UnCLIPScheduler"}, Settings(steps=1, solver="own"))


REDRAWN = dict.fromkeys(SOLVERS, COSINE) | {
    f"own {name}": {"_class_name": name, **config} for name, config in OWN.items()
}


@pytest.mark.parametrize("solver", REDRAWN)
def test_less_strength_does_fewer_steps_and_stays_nearer_to_the_image(solver):
    config, original = REDRAWN[solver], torch.full((1, *SHAPE), 0.7)
    levels_of = config if "beta_schedule" in config else COSINE
    exact = gaussian(levels_of, torch.full((1, *SHAPE), -0.5), deviation=0.3)
    far = []
    for strength in (0.2, 0.5, 0.9):
        settings = Settings(steps=20, solver=solver.split()[0], strength=strength)
        steps = list(
            sampler.denoise(
                lambda x, t: exact(x, t.long()),
                starts(1),
                config,
                settings,
                [torch.Generator().manual_seed(0)],
                Known(original),
            )
        )
        assert len(steps) == steps[0].total
        assert 20 * strength <= len(steps) <= 20 * strength + 1  # PNDM does one more
        far.append(rms(steps[-1].latents, original))
    assert far[0] < far[1] < far[2]
    assert far[0] < 0.7 * far[-1]


@pytest.mark.parametrize("solver", SOLVERS)
def test_estimates_stay_in_range_when_the_config_clips_whatever_the_solver(solver):
    config = {**COSINE, "clip_sample": True}
    far = gaussian(config, torch.full((1, *SHAPE), 3.0))
    steps = list(sampler.denoise(far, starts(1), config, Settings(steps=5, solver=solver)))
    assert max(step.estimate.abs().max() for step in steps) <= 1
    free = list(sampler.denoise(far, starts(1), COSINE, Settings(steps=5, solver=solver)))
    assert max(step.estimate.abs().max() for step in free) > 2


def test_a_config_that_does_not_speak_of_clipping_does_not_clip():
    silent = {"beta_schedule": "squaredcos_cap_v2"}
    far = gaussian(silent, torch.full((1, *SHAPE), 3.0))
    assert result(far, starts(1), silent, Settings(steps=20, solver="ddim")).mean() > 2


def test_what_a_config_says_about_learned_variances_or_other_solvers_is_left_out():
    config = {**COSINE, "_class_name": "UnCLIPScheduler", "variance_type": "learned_range"}
    config |= {"algorithm_type": "sde-dpmsolver++", "num_train_timesteps": 1000}
    denoiser, noise = gaussian(COSINE, starts(1, 5)), starts(1)
    for solver in SOLVERS:
        settings = Settings(steps=5, solver=solver)
        plain = result(denoiser, noise, COSINE, settings)
        assert torch.equal(result(denoiser, noise, config, settings), plain)


def test_every_step_says_where_it_stands():
    steps = list(
        sampler.denoise(gaussian(COSINE, 0.0), starts(2), COSINE, Settings(steps=4, solver="ddim"))
    )
    assert [(s.index, s.total, s.t) for s in steps] == [
        (1, 4, 750),
        (2, 4, 500),
        (3, 4, 250),
        (4, 4, 0),
    ]
    assert all(s.latents.shape == s.estimate.shape == (2, *SHAPE) for s in steps)


def test_closing_the_iterator_stops_the_network():
    calls = []

    steps = sampler.denoise(
        lambda x, t: calls.append(t) or x, starts(1), COSINE, Settings(steps=50, solver="ddim")
    )
    next(steps)
    next(steps)
    steps.close()
    assert len(calls) == 2


def test_the_mode_of_the_caller_is_left_alone_between_steps():
    for _ in sampler.denoise(
        gaussian(COSINE, 0.0), starts(1), COSINE, Settings(steps=2, solver="ddim")
    ):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_noise_for_eta_never_repeats_the_noise_of_the_start():
    drawn, generators = draw([3], SHAPE)
    both = torch.stack([torch.randn(SHAPE, generator=generators[0]), torch.tensor(drawn[0])])
    assert abs(torch.corrcoef(both.flatten(1))[0, 1]) < 0.3


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("base", [COSINE, STABLE], ids=["cosine", "stable"])
def test_inversion_and_decoding_give_the_latents_back(base, spacing, prediction):
    config = {**base, "prediction_type": prediction, "timestep_spacing": spacing}
    mean = 0.5 * starts(1, 5)
    denoiser, original = gaussian(config, mean), mean + 0.25 * starts(2, 6)
    noise = sampler.last(sampler.invert(denoiser, original, config, 50)).latents
    assert (
        rms(result(denoiser, noise, config, Settings(steps=50, solver="ddim")), original) <= 0.0002
    )  # issue: 0.002


def test_inversion_is_far_better_than_diffusers_own():
    for base in (COSINE, STABLE):
        mean = 0.5 * starts(1, 5)
        denoiser, original = gaussian(base, mean), mean + 0.25 * starts(2, 6)
        stock, x = DDIMInverseScheduler.from_config(base), original
        stock.set_timesteps(50)
        for t in stock.timesteps:
            x = stock.step(denoiser(x, t.expand(2)), t, x).prev_sample
        noise = sampler.last(sampler.invert(denoiser, original, base, 50)).latents
        ours, theirs = (
            rms(result(denoiser, n, base, Settings(steps=50, solver="ddim")), original)
            for n in (noise, x)
        )
        assert ours < theirs / 50


def test_inversion_arrives_at_the_noise_that_the_latents_were_made_from():
    denoiser, noise = gaussian(STABLE, starts(1, 5)), starts(2)
    made = result(denoiser, noise, STABLE, Settings(steps=25, solver="ddim"))
    found = sampler.last(sampler.invert(denoiser, made, STABLE, 25, refinements=8)).latents
    assert rms(found, noise) < 1e-3


@pytest.mark.parametrize("steps", [5, 20, 50])
def test_inversion_from_a_level_gives_noise_where_the_network_errs(steps):
    """An error of .05 near the image is not blown up; the image is the estimate at that level."""
    config = {**COSINE, "prediction_type": "sample", "timestep_spacing": "trailing"}
    wrong, exact = 0.05 * starts(2, 7), gaussian(config, 0.0)

    def denoiser(latents, rows):
        return exact(latents, rows) + wrong

    original, noise = 0.25 * starts(2, 6), starts(2)
    plain, from_level = (
        sampler.last(sampler.invert(denoiser, original, config, steps, noise=noise, level=level))
        for level in (0, 60)
    )
    assert 0.9 < from_level.latents.std() < 1.15
    assert plain.latents.std() > from_level.latents.std() + 0.1
    made = result(denoiser, from_level.latents, config, Settings(steps=steps, solver="ddim"))
    assert rms(made, original) < 0.25  # of a network that is wrong by .05 a step


def test_inversion_ignores_clipping():
    denoiser, original = gaussian(COSINE, 0.0), 2 * starts(1, 6)
    clipping = {**COSINE, "clip_sample": True}
    found = [sampler.last(sampler.invert(denoiser, original, c, 10)) for c in (COSINE, clipping)]
    assert torch.equal(found[0].latents, found[1].latents)


def test_more_refinements_bring_inversion_closer():
    denoiser, original = gaussian(STABLE, 0.0), 0.25 * starts(1, 6)
    errors = []
    for refinements in (0, 1, 3):
        walk = sampler.invert(denoiser, original, STABLE, 20, refinements)
        noise = sampler.last(walk).latents
        errors.append(
            rms(result(denoiser, noise, STABLE, Settings(steps=20, solver="ddim")), original)
        )
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_raw_output_splits_into_the_image_and_the_noise_it_was_made_of(prediction):
    image, noise, alpha = starts(1, 1), starts(1, 2), 0.3
    latents = alpha**0.5 * image + (1 - alpha) ** 0.5 * noise
    output = {
        "epsilon": noise,
        "sample": image,
        "v_prediction": alpha**0.5 * noise - (1 - alpha) ** 0.5 * image,
    }[prediction]
    found = sampler.split(output, latents, alpha, prediction)
    assert torch.allclose(found[0], image, atol=1e-5)
    assert torch.allclose(found[1], noise, atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_in_painting_keeps_the_known_latents_and_fills_the_rest(solver):
    original = torch.full((1, *SHAPE), 0.7)
    mask = torch.zeros((1, 1, 8, 8), dtype=torch.bool)
    mask[..., :4] = True
    known = Known(original, mask)
    exact, seen = gaussian(COSINE, torch.full((1, *SHAPE), -0.5), deviation=0.05), []

    def denoiser(latents, t):
        return seen.append((int(t), latents)) or exact(latents, t)

    settings = Settings(steps=10, solver=solver)
    steps = list(sampler.denoise(denoiser, starts(1), COSINE, settings, (), known))
    assert torch.equal(steps[-1].latents[..., 4:], original[..., 4:])
    assert torch.allclose(steps[-1].latents[..., :4], torch.tensor(-0.5), atol=0.3)
    for t, latents in seen:  # the network always sees what is known at the level of the step
        alpha = levels((("beta_schedule", "squaredcos_cap_v2"),))[t]
        expected = alpha.sqrt() * original + (1 - alpha).sqrt() * starts(1)
        assert torch.allclose(latents[..., 4:], expected[..., 4:], atol=1e-5)


def test_guidance_keeps_the_points_own_learned_variance():
    def network(latents, t, condition):
        return torch.cat([linear(latents, t, condition), condition["scale"].view(-1, 1, 1, 1)
                          .expand_as(latents)], 1)  # fmt: skip

    sides = ({"scale": torch.tensor([2.0, 3.0])}, {"scale": torch.tensor([0.0, 1.0])})
    x, t = starts(2), torch.tensor([4, 4])
    ours = sampler.guided(network, sides, 3.0, 8, torch.float32)(x, t)
    plain = sampler.guided(linear, sides, 3.0, 8, torch.float32)(x, t)
    assert torch.equal(ours[:, :3], plain)
    assert (ours[0, 3:] == 2).all()
    assert (ours[1, 3:] == 3).all()


def linear(latents, t, condition):
    return latents * condition["scale"].view(-1, 1, 1, 1) + t.view(-1, 1, 1, 1)


def test_guidance_moves_away_from_the_unconditional_output():
    sides = ({"scale": torch.tensor([2.0, 3.0])}, {"scale": torch.tensor([0.0, 1.0])})
    x, t = starts(2), torch.tensor([4, 4])
    with_point, without = (linear(x, t, side) for side in sides)
    for guidance in (0.0, 0.5, 4.0):
        ours = sampler.guided(linear, sides, guidance, 8, torch.float32)(x, t)
        assert torch.allclose(ours, without + guidance * (with_point - without), atol=1e-4)
    assert torch.equal(sampler.guided(linear, sides, 1.0, 8, torch.float32)(x, t), with_point)


@pytest.mark.parametrize(("guidance", "rows"), [(1.0, [2, 1]), (3.0, [4, 2])])
def test_the_network_is_called_once_a_batch_on_both_sides_together(guidance, rows):
    calls = []

    def network(latents, t, condition):
        assert len(latents) == len(t) == len(condition["z"])
        assert latents.dtype == torch.bfloat16
        calls.append(len(latents))
        return latents

    side = {"z": torch.zeros(3, 1)}
    output = sampler.guided(network, (side, side), guidance, 2, torch.bfloat16)(
        starts(3), torch.zeros(3, dtype=torch.long)
    )
    assert calls == rows
    assert output.dtype == torch.float32


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"steps": 0}, "from 1 up, not 0"),
        ({"steps": 2.5}, "whole number"),
        ({"steps": 5, "guidance": float("nan")}, "finite"),
        ({"steps": 5, "eta": 1.5}, "between 0"),
        ({"steps": 5, "eta": -0.1}, "between 0"),
        ({"steps": 5, "solver": "euler"}, "'ddim', 'dpm', 'unipc'"),
        ({"steps": 5, "solver": "dpm", "eta": 0.5}, 'needs solver="ddim"'),
        ({"steps": 5, "solver": "own", "eta": 0.5}, 'needs solver="ddim"'),
        ({"steps": 5, "strength": 0.1}, "leaves no step to do. Give 0.2 or more"),
        ({"steps": 5, "strength": 0}, "above 0"),
        ({"steps": 5, "strength": 1.2}, "up to 1"),
    ],
)
def test_settings_out_of_range_are_refused_with_what_would_be_right(knobs, words):
    with pytest.raises(QueryError, match=words):
        Settings(**knobs)


def test_steps_that_do_not_lead_from_noise_to_image_are_refused():
    with pytest.raises(QueryError, match="1001 steps are more than the 1000"):
        next(
            sampler.denoise(
                gaussian(COSINE, 0.0), starts(1), COSINE, Settings(steps=1001, solver="ddim")
            )
        )
    shifted = {**COSINE, "steps_offset": 1}
    with pytest.raises(QueryError, match="such as 50"):
        sampler.schedule(shifted, Settings(steps=1000, solver="ddim"))
    with pytest.raises(QueryError, match="such as 50"):
        sampler.schedule(
            COSINE | {"timestep_spacing": "leading"}, Settings(steps=1000, solver="dpm")
        )
    with pytest.raises(QueryError, match="such as 50"):  # the one step would start at t = 0
        sampler.schedule(COSINE, Settings(steps=1, solver="ddim"))
    assert len(sampler.schedule(COSINE, Settings(steps=2, solver="ddim")).timesteps) == 2
