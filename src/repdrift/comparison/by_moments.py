"""Comparison from streamed sums of products (moments), which take any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count

import torch
from torch import nn

from repdrift.batches.batching import BatchPlan
from repdrift.batches.input_checks import require_samples_fit
from repdrift.comparison.base_model import BaseModel, SharedAdapters, extractor_for
from repdrift.comparison.control_batches import mispaired_rows, mixed_batches
from repdrift.comparison.control_samples import control_samples
from repdrift.comparison.file_precision import (
    RoundedAlike,
    adapter_notes,
    coarse_formats,
    float32_base,
    note_precision,
    note_quantisation,
    rounded_alike,
    run_rounded,
)
from repdrift.comparison.measured import (
    Gap,
    Measured,
    missing_control,
    missing_run_rounding,
    reason_of,
    say_first_answer,
)
from repdrift.comparison.moment_noise import cka_of, noise_between_runs, noise_of_rounding
from repdrift.comparison.moment_sites import BySite, base_places, control_drifts, drift_by_site
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.paired_pass import Accumulators, ModelRun, stream
from repdrift.comparison.site_rows import extractor_with_sites
from repdrift.comparison.tuned_model import TunedModel, layer_count_fault
from repdrift.comparison.tuned_models import SHARED_WEIGHTS, with_own_weights
from repdrift.comparison.unpaired import ONLY_SUMS
from repdrift.comparison.weight_changes import WeightChanges, changes_of, run_randomly_changed
from repdrift.core.errors import DegenerateInputError, ModelError, RepdriftError
from repdrift.core.process_group import device, world
from repdrift.core.progress import say
from repdrift.core.records.comparison import BaseLayer, BetweenModels
from repdrift.core.records.sites import RESID_POST, SiteLayer
from repdrift.core.words import sentence_case, some_listed
from repdrift.drift.site_sets import ADAPTER_SITE
from repdrift.extraction import RepresentationExtractor
from repdrift.models import AdaptedBase, running_errors
from repdrift.tasks import SampleSet

_MEMORY_CAP_BYTES = 128 << 20
"""For the activations of one batch on a CPU, where none is asked for: sums are added once a batch, so large ones are better."""


def compare_by_moments(
    base: BaseModel, tuned_models: Sequence[TunedModel], samples: SampleSet, options: ComparisonOptions
) -> Measured:
    """Runs every tuned model beside the base model, batch by batch, and keeps only sums.

    Adapters that can share the base model's weights go through one pass together; every other model has a pass of its
    own. The controls run on a part of the samples.
    """
    return _MomentComparison(base, samples, options).run(tuned_models)


class _MomentComparison:
    def __init__(self, base: BaseModel, samples: SampleSet, options: ComparisonOptions) -> None:
        self.base, self.samples, self.options = base, samples, options
        self.control = control_samples(samples, options)
        self.measured = Measured("moments")
        self.noise: dict[SiteLayer, float] = {}
        if options.controls:
            self.measured.control_samples = len(self.control)

    def run(self, tuned_models: Sequence[TunedModel]) -> Measured:
        shared = self.base.share(tuned_models)
        reasons = dict(shared.reasons)
        switch = nullcontext if shared.adapted is None else shared.adapted.base
        with switch():  # its sites are looked for with all adapters off
            extractor = self._extractor(self.base.model, tolerant=False)
        self.base_run = ModelRun(extractor, switch)
        self.measured.sites_left_out |= dict(extractor.chosen_sites.left_out)
        self.measured.sites_left_out.pop(ADAPTER_SITE, None)  # said of each tuned model
        if shared.adapted is not None:
            why = self._measure_shared(shared.adapted, shared)
            if spoilt := self.base.spoilt():
                say(f"{spoilt}: each is run again on weights of its own")
                why = spoilt
                self._forget(shared.tuned)
            if why is not None:
                reasons |= {tuned.name: why for tuned in shared.tuned}
        for tuned in tuned_models:
            if tuned.name not in self.measured.weights and tuned.name not in self.measured.failed:
                self._measure_alone(tuned, reasons.get(tuned.name))
        self.measured.judge_noise()
        return self.measured

    def _measure_shared(self, adapted: AdaptedBase, shared: SharedAdapters) -> str | None:
        """Measures all adapters in one pass. If one of them fails, returns why each is to be measured by itself."""
        names = [tuned.name for tuned in shared.tuned]
        runs = [self._shared_run(adapted, k) for k in range(len(names))]
        changes: list[WeightChanges] = []
        for tuned, found in zip(shared.tuned, adapted.notes, strict=True):
            self.measured.note(tuned.name, [*tuned.notes, *found])
        try:
            with running_errors("it cannot be run"):
                for tuned, run in zip(shared.tuned, runs, strict=True):
                    with run.switch() as model:
                        require_samples_fit(self.samples, model)
                        changes.append(changes_of(self.base, tuned, model, self._blocks_path))
                        self._note_precision(tuned, model)
                    self.measured.note(tuned.name, changes[-1].notes)
                self._measure(names, runs, changes, SHARED_WEIGHTS)
        except RepdriftError as error:
            if len(names) == 1:
                self.measured.failed[names[0]] = str(error)
                return None
            say(f"not all adapters can be measured: {error}")
            return "an adapter beside it cannot be measured"
        try:
            with running_errors("it cannot be run"):
                self._between(names, runs)
        except RepdriftError as error:
            self.measured.notes.append(missing_control("The drift between the tuned models", error))
        return None

    def _forget(self, tuned_models: Sequence[TunedModel]) -> None:
        """Drops all that was measured on a base model whose weights changed, and loads it anew."""
        self.base.free()
        self.base.forget_sinks()
        self.base_run = ModelRun(self._extractor(self.base.model), nullcontext)
        of_model = (self.measured.layers, self.measured.sites, self.measured.weights, self.measured.failed)
        for tuned in tuned_models:
            for found in of_model:
                found.pop(tuned.name, None)
        self.measured.base_layers, self.measured.between, self.noise = [], [], {}
        self.measured.base_sites = {}

    def _shared_run(self, adapted: AdaptedBase, number: int) -> ModelRun:
        """The run of an adapter on the base model's weights. Where sites are read, they are looked for with this adapter on."""
        switch = _switched_on(adapted, number)
        if not self.options.sites:
            return ModelRun(self.base_run.extractor, switch)
        with switch() as model:
            return ModelRun(self._extractor(model), switch)

    def _measure_alone(self, tuned: TunedModel, reason: str | None) -> None:
        depth = len(self.base_run.extractor.blocks)
        try:
            with (
                running_errors("it cannot be run"),
                with_own_weights(self.base.source, tuned, self.options, reason) as running,
            ):
                self.measured.note(tuned.name, [*tuned.notes, *running.notes])
                extractor = self._extractor(running.backbone)
                if len(extractor.blocks) != depth:
                    raise ModelError(f"{layer_count_fault(len(extractor.blocks), depth)} {sentence_case(ONLY_SUMS)}.")
                extractor.require_fit(self.samples)
                change = changes_of(self.base, tuned, running.backbone, self._blocks_path)
                self.measured.note(tuned.name, change.notes)
                self._note_precision(tuned, running.backbone)
                say(f"running {tuned.name} beside the base model")
                self._measure([tuned.name], [ModelRun(extractor, nullcontext)], [change], running.weights)
        except RepdriftError as error:
            self.measured.failed[tuned.name] = str(error)

    @property
    def _blocks_path(self) -> str:
        return self.base_run.extractor.blocks.path

    def _extractor(self, model: nn.Module, *, tolerant: bool = True) -> RepresentationExtractor:
        """The extractor of a model. tolerant: one whose sites cannot be told apart is read without them, see `extractor_with_sites`."""
        options = self.options
        if options.memory_cap_bytes is None and device().type == "cpu":
            options = options.model_copy(update={"memory_cap_bytes": _MEMORY_CAP_BYTES})
        return self.base.reader_of((extractor_with_sites if tolerant else extractor_for)(model, options))

    def _plan(self, samples: SampleSet, n_tuned: int) -> BatchPlan:
        """The batches of `samples`. They are smaller if the hidden states of more models are held at once."""
        extractor = self.base_run.extractor
        budget = self.options.token_budget or max(1, extractor.token_budget // n_tuned)
        return BatchPlan(samples, token_budget=budget, window_tokens=extractor.plan(samples).window_tokens)

    def _measure(
        self, names: Sequence[str], runs: Sequence[ModelRun], changes: Sequence[WeightChanges], weights: str
    ) -> None:
        together = ", ".join(names)
        plan, control_plan = self._plan(self.samples, len(runs)), self._plan(self.control.samples, len(runs))
        sums = stream(self.base_run, runs, plan, range(len(plan)), what=together)
        if self.base.sinks is not None and self.base.sinks.open:
            self.base.sinks.share()
            self.measured.sinks = self.base.sinks_of(self.samples)
        layers: BySite = {}
        with world().together(f"{together}, measured"):
            if world().is_first:
                for k, name in enumerate(names):
                    layers[name] = drift_by_site(self.measured, self.options, name, sums, k, runs[k], changes[k])
                    notes = self.measured.model_notes.get(name, [])
                    say_first_answer(name, layers[name][RESID_POST], notes, controls=self.options.controls)
        notes: list[str] = []
        gaps: list[Gap] = []
        if self.options.controls:
            self._measure_noise(control_plan, notes)
            mixed = mixed_batches(control_plan)
            mispaired = stream(self.base_run, runs, mixed, range(len(mixed)), change=mispaired_rows, what="mispaired")
            try:
                layers = self._with(layers, dict(zip(names, count(), strict=False)), mispaired, "mispaired_drift")
            except DegenerateInputError as error:
                notes.append(missing_control("The control of mispaired samples", error))
            layers = self._with_rounding(layers, dict(zip(names, runs, strict=True)), control_plan, gaps)
        for name, change in zip(names, changes, strict=True):

            def streamed(model: nn.Module, name: str = name) -> Accumulators:
                run, numbers = ModelRun(self._extractor(model), nullcontext), range(len(control_plan))
                return stream(self.base_run, [run], control_plan, numbers, what=f"random change as large as {name}")

            # A second copy of the base model, since the first runs beside it.
            copy_of_base = BaseModel(self.base.source, self.options)
            random = run_randomly_changed(copy_of_base, name, change, streamed, gaps.append)
            if random is not None:
                try:
                    layers = self._with(layers, {name: 0}, random, "random_change_drift")
                except DegenerateInputError as error:
                    gaps.append(Gap(name, "random change", reason_of(error)))
        self.measured.layers |= {name: found[RESID_POST] for name, found in layers.items()}
        self.measured.sites |= {
            name: {site: at for site, at in found.items() if site != RESID_POST} for name, found in layers.items()
        }
        self.measured.weights |= dict.fromkeys(names, weights)
        self.measured.gaps += gaps
        self.measured.notes += [note for note in notes if note not in self.measured.notes]
        if world().is_first and not self.measured.base_layers:
            by_site: dict[str, list[BaseLayer]] = {}
            for place, at in base_places(sums, self.noise):
                by_site.setdefault(place.site, []).append(at)
            self.measured.base_layers = by_site.pop(RESID_POST)
            self.measured.base_sites = by_site

    def _with(self, layers: BySite, numbers: Mapping[str, int], sums: Accumulators, field: str) -> BySite:
        """Puts the drift in `sums` into one field of every layer and site of some models; `numbers` has their numbers in the sums.

        field: the name of that field of LayerDrift. A site that is not in the sums, or has no value there, keeps the field empty, and a
        note says so. Raises DegenerateInputError naming the layer if the drift of the residual stream is undefined.
        """
        found = dict(layers)
        with world().together(f"{', '.join(numbers)}, {field}"):
            if world().is_first:
                for name, k in numbers.items():
                    found[name] = {
                        site: at_site if (drifts := control_drifts(self.measured, name, site, at_site, sums, k, field)) is None else [
                            at.model_copy(update={field: drift}) for at, drift in zip(at_site, drifts, strict=True)
                        ]
                        for site, at_site in layers[name].items()
                    }  # fmt: skip
        return found

    def _note_precision(self, tuned: TunedModel, model: nn.Module) -> None:
        coarse = coarse_formats(model)
        note_quantisation(self.base.source, tuned, self.measured)
        if tuned.source.is_adapter:
            self.measured.note(tuned.name, adapter_notes(tuned.source))
        if coarse:
            self.measured.coarse[tuned.name] = coarse
            with self.base_run.switch():
                note_precision(
                    self.base_run.extractor.backbone, [tuned.name], self.measured, controls=self.options.controls
                )

    def _with_rounding(self, layers: BySite, runs: Mapping[str, ModelRun], plan: BatchPlan, gaps: list[Gap]) -> BySite:
        """Adds the drift of the base model with its weights rounded as those of each model are, and of the models beside it."""
        for group in rounded_alike(
            {name: self.measured.rounded[name] for name in runs if name in self.measured.rounded}
        ):

            def streamed(model: nn.Module, group: RoundedAlike = group) -> Accumulators:
                run = ModelRun(self._extractor(model), nullcontext)
                what = f"base model, rounded like {some_listed(group.names)}"
                return stream(
                    self.base_run, [run, *(runs[name] for name in group.names)], plan, range(len(plan)), what=what
                )

            sums = run_rounded(BaseModel(self.base.source, self.options), group, streamed, gaps.append)
            if sums is None:
                continue
            try:
                of_tuned = dict(zip(group.names, count(1), strict=False))
                layers = self._with(layers, dict.fromkeys(group.names, 0), sums, "rounding_drift")
                layers = self._with(layers, of_tuned, sums, "control_drift")
            except DegenerateInputError as error:
                gaps += [Gap(name, "rounding", reason_of(error)) for name in group.names]
        return layers

    def _measure_noise(self, plan: BatchPlan, notes: list[str]) -> None:
        """Keeps the noise of extraction, and that of a run in a coarser format than float32; a note says what is missing."""
        if self.noise:
            return
        try:
            self.noise = noise_between_runs(self.base_run, plan)
        except DegenerateInputError as error:
            notes.append(missing_control("The noise floor", error))
            return
        exact = float32_base(self.base)
        if exact is None:
            return
        try:
            run = ModelRun(self._extractor(exact.model), nullcontext)
            rounding = noise_of_rounding(self.base_run, run, plan)
            self.noise = {place: max(noise, rounding.get(place, noise)) for place, noise in self.noise.items()}
        except (RepdriftError, torch.OutOfMemoryError) as error:
            notes.append(missing_run_rounding(self.options.compute_dtype, error))

    def _between(self, names: Sequence[str], runs: Sequence[ModelRun]) -> None:
        """Measures the drift between every two adapters, on the control samples."""
        if len(runs) < 2 or not self.options.controls:
            return
        plan = self._plan(self.control.samples, len(runs))
        for first in range(len(runs) - 1):
            sums = stream(runs[first], runs[first + 1 :], plan, range(len(plan)), what="between the tuned models")
            with world().together("between the tuned models, measured"):
                if world().is_first:
                    self.measured.between += [
                        BetweenModels(
                            first=names[first],
                            second=names[first + 1 + k],
                            layer=place.layer,
                            drift=1 - cka_of(at, k, place),
                        )
                        for place, at in sums.items()
                        if place.site == RESID_POST
                        for k in range(len(runs) - first - 1)
                    ]


def _switched_on(adapted: AdaptedBase, number: int) -> Callable[[], AbstractContextManager[nn.Module]]:
    return lambda: adapted.tuned(number)
