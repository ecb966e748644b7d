"""Settings of a direct comparison."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from repdrift.batches.pass_options import MemoryCap, TokenBudget
from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.intruder_options import IntruderCosine, IntruderDirections
from repdrift.core.records.representation_set import PoolingChoice, Stack
from repdrift.core.records.results import DEFAULT_MEASURES, PRIMARY_MEASURE
from repdrift.core.records.sites import RESID_POST, Site, in_order
from repdrift.core.records.what_moved import SECTIONS
from repdrift.core.sample_count import LEAST_SAMPLES

_SITES = "sites"
"""The name under which sections ask for sites inside the block, as if `sites` named the usual ones."""
_USUAL_SITES: tuple[Site, ...] = ("attn_out", "mlp_out")


class ComparisonOptions(BaseModel):
    """Settings with which models are run and measured. Faults are reported all together.

    Each description is also the help text of the command line's option.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pooling: PoolingChoice = Field(
        default="auto",
        description="How the tokens of a sample become one row. auto is mean_without_sinks for a causal decoder, and mean for any other.",
    )
    layers: tuple[int, ...] | None = Field(
        default=None, description="Layer (0 is the first block); may be repeated. All layers if it is not given."
    )
    sites: tuple[Site, ...] = Field(
        default=(),
        description="Site inside the block to measure too: attn_out, mlp_out, embeddings, final_norm, adapter_out; may be repeated.",
    )
    measures: tuple[str, ...] = Field(
        default=DEFAULT_MEASURES,
        description="Measure (see `repdrift measures`); may be repeated. Debiased CKA is always among them.",
    )
    interval_measures: tuple[str, ...] = Field(
        default=(),
        description="Measure whose drift gets an interval over samples too, as that of debiased CKA always has; may be repeated. Most measures take up to "
        "41 times as long with it.",
    )
    compute_dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Number format in which the models run."
    )
    token_budget: TokenBudget = None
    memory_cap_bytes: MemoryCap = None
    accumulate: Literal["auto", "rows", "moments"] = Field(
        default="auto",
        description="`rows` keeps the pooled rows: every measure, with intervals. `moments` keeps sums only: any number of rows, "
        "CKA and raw cosine. `auto` keeps the rows where memory allows it.",
    )
    controls: bool = Field(
        default=True, description="Also run the base model again, and with random changes of the same size."
    )
    control_samples: int | None = Field(
        default=None,
        ge=0,
        description="Samples on which noise floor and random change are measured (with `moments` also mispaired samples); 0 takes all. If "
        "it is not given: a sixteenth of the samples, at least 32 and at most 256.",
    )
    outputs: bool = Field(
        default=True,
        description="Also measure what tuning did to outputs: loss and divergence of language models, classes that classifiers change.",
    )
    general_text: str | None = Field(
        default=None,
        description="General text on which forgetting is measured too: a file, a folder, a data set of the hub (OWNER/NAME:CONFIGURATION), or "
        "packaged for the paragraphs that repdrift ships.",
    )
    common_tokens: bool = Field(
        default=False,
        description="Compare outputs of two vocabularies on the tokens that both have, instead of leaving them out.",
    )
    seed: int = Field(default=0, description="Seed of the random changes.")
    blocks: str | None = Field(
        default=None, description="Name of the module list that holds the blocks, if it is not found by itself."
    )
    stack: Stack | None = Field(
        default=None,
        description="Which half of an encoder-decoder model is measured. If it is not given: the encoder.",
    )

    sections: tuple[str, ...] | None = Field(
        default=None,
        description=f"What else is measured of what moved: {', '.join(SECTIONS)}; several with commas; all or none. {_SITES} stands for the sites "
        f"{' and '.join(_USUAL_SITES)}. If it is not given: those that take little time beside the comparison itself.",
    )
    intruder_directions: IntruderDirections = 10
    intruder_cosine: IntruderCosine = 0.5
    sample_texts: bool = Field(
        default=True,
        description="Show texts of the data: samples that moved most, tokens, the first row. Without them, all files have ids and labels alone.",
    )
    own_tokenizer: Literal["text", "word"] | None = Field(
        default=None,
        description="Let a model whose tokenizer makes other tokens of the texts read them with its own, instead of refusing it. Its layers are compared "
        "by the layer grid alone, over rows of one text, or of one word.",
    )
    patch: bool = Field(
        default=False,
        description="Also put the base model's hidden state back into the tuned model after each block, and the other way round, and measure "
        "how much of the output change returns.",
    )
    patch_layers: tuple[int, ...] | None = Field(
        default=None, description="Layer to patch after; may be repeated. All layers if it is not given."
    )
    patch_samples: int | None = Field(
        default=None,
        ge=0,
        description="Samples on which models are patched, drawn at random; 0 takes all. If it is not given: 128, or all if there are fewer.",
    )

    @model_validator(mode="before")
    @classmethod
    def _sites_by_name(cls, given: Any) -> Any:
        """Takes the name `sites` out of the sections: attention and MLP output, where no other sites are named."""
        if not isinstance(given, dict) or not given.get("sections"):
            return given
        names = [name.strip() for text in given["sections"] for name in str(text).split(",")]
        if _SITES not in names:
            return given
        others = tuple(name for name in names if name != _SITES)
        return {**given, "sections": others or ("none",), "sites": tuple(given.get("sites") or ()) or _USUAL_SITES}

    @field_validator("control_samples")
    @classmethod
    def _enough(cls, count: int | None) -> int | None:
        if count is not None and 0 < count < LEAST_SAMPLES:
            raise ValueError(f"expected 0 (all samples) or at least {LEAST_SAMPLES}, got {count}")
        return count

    @field_validator("sites")
    @classmethod
    def _other_sites(cls, sites: tuple[Site, ...]) -> tuple[Site, ...]:
        """The sites in their usual order, each once; the residual stream is always measured."""
        return tuple(site for site in in_order(sites) if site != RESID_POST)

    @field_validator("measures", "interval_measures")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        # Imported here, so that the command line can show these options without torch.
        from repdrift.drift.chosen_measures import require_measures

        try:
            require_measures(names)
        except (ConfigError, UnknownNameError) as error:
            raise ValueError(str(error)) from error
        return names

    @field_validator("measures")
    @classmethod
    def _with_primary(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return names if PRIMARY_MEASURE in names else (PRIMARY_MEASURE, *names)

    @field_validator("sections")
    @classmethod
    def _known_sections(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if given is None:
            return None
        names = [name.strip() for text in given for name in text.split(",")]
        for name in names:
            if name not in (*SECTIONS, "all", "none"):
                raise ValueError(str(UnknownNameError.of("section", name, [*SECTIONS, _SITES, "all", "none"])))
        if len(set(names) & {"all", "none"}) and len(set(names)) > 1:
            raise ValueError(f"all and none stand alone; got {', '.join(names)}")
        if names == ["none"]:
            return ()
        return SECTIONS if "all" in names else tuple(name for name in SECTIONS if name in names)

    @model_validator(mode="after")
    def _with_outputs(self) -> Self:
        if not self.outputs and self.general_text is not None:
            raise ValueError("general_text has no effect without outputs (--outputs): leave one of them out")
        return self

    @model_validator(mode="after")
    def _patched(self) -> Self:
        given = [name for name in ("patch_layers", "patch_samples") if getattr(self, name) is not None]
        if given and not self.patch:
            raise ValueError(
                f"{' and '.join(given)} have no effect without patch (--patch): give it too, or leave them out"
            )
        return self
