"""The description of drift by layer: every method where they are few, the least and the most where they are many."""

from repdrift.core.words import method_title
from repdrift.report.figures.layers import describe
from tests.unit.report.synthetic_results import Synthetic, report_data

MANY = ("full_finetune", "lora", "dora", "ia3", "adapter", "oft", "loha", "lokr", "vera", "bitfit")


def test_of_many_methods_the_least_and_the_most_are_said_with_their_numbers():
    lost = tuple(("sst2", "bitfit", seed) for seed in (1, 2))
    data = report_data(Synthetic(tasks=("sst2",), methods=MANY, seeds=(1, 2), layers=4, lora_share=0.2, missing=lost))
    last = {method: data.mean_drift("sst2", method)[-1] for method in MANY if method != "bitfit"}
    least, most = min(last, key=last.get), max(last, key=last.get)
    assert least == "lora"
    assert describe(data) == (
        f"Lines of mean drift by layer. SST-2, layer 3: {last[least]:.2f} (LoRA) to {last[most]:.2f} ({method_title(most)}), "
        "9 methods, 1 missing."
    )


def test_of_few_methods_each_is_said():
    data = report_data(
        Synthetic(tasks=("sst2",), seeds=(1, 2), layers=4, missing=(("sst2", "lora", 1), ("sst2", "lora", 2)))
    )
    assert describe(data).startswith("Lines of mean drift by layer. SST-2, full fine-tuning: ")
    assert describe(data).endswith("; SST-2, LoRA: missing.")
