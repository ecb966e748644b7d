"""Statistics on plain arrays. The unit of every test is the trained model."""

from repdrift.core.confidence import Interval
from repdrift.statistics.base_distance import BaseDistanceResult, base_distance_layers, base_distance_test
from repdrift.statistics.correlation import (
    ProfileCorrelations,
    RankCorrelation,
    profile_correlations,
    rank_correlation,
)
from repdrift.statistics.design_power import DesignPower, PowerCurve, models_needed, samples_needed, unreachable
from repdrift.statistics.dunnett import DunnettResult, dunnett_test
from repdrift.statistics.effect_size import (
    EffectSize,
    cliffs_delta,
    log_ratio,
    mean_difference,
    mean_ratio,
    mean_reduction,
)
from repdrift.statistics.equal_skill import (
    DriftAtScore,
    EqualSkillResult,
    SkillPath,
    StratumAtScore,
    common_score,
    drift_at_score,
    equal_skill_test,
    skill_path,
    strata_at_score,
)
from repdrift.statistics.equivalence import EquivalenceResult, equivalence_test
from repdrift.statistics.grouped_mean import GroupedMean, grouped_mean
from repdrift.statistics.hierarchical import hierarchical_reduction, hierarchical_replicates
from repdrift.statistics.interaction import InteractionResult, interaction_test
from repdrift.statistics.intervals import bootstrap_interval, jackknife_interval
from repdrift.statistics.layer_tests import ClusterResult, LayerCluster, MaxTResult, cluster_test, max_t_test
from repdrift.statistics.mcnemar import PairedAnswers, mcnemar_test
from repdrift.statistics.mean_over_models import MeanOverModels, mean_over_models
from repdrift.statistics.mixed_model import MixedModelResult, mixed_model_reduction
from repdrift.statistics.multiplicity import benjamini_hochberg, holm, holm_over_families
from repdrift.statistics.outcome_correlations import OutcomeCorrelations, outcome_correlations
from repdrift.statistics.paired_difference import paired_difference
from repdrift.statistics.permutation import PermutationResult, label_permutation_test, smallest_reachable_pvalue
from repdrift.statistics.ranking import LayerRanking, rank_layers
from repdrift.statistics.reduction_bound import reduction_lower_bound
from repdrift.statistics.score_difference import ScoreDifference, score_difference
from repdrift.statistics.sign_flip import SignFlipResult, sign_flip_test
from repdrift.statistics.skill_regression import SkillRegression, skill_regression
from repdrift.statistics.spread import within_share, without_spread
from repdrift.statistics.studentised import calibration_limit

__all__ = [
    "BaseDistanceResult",
    "ClusterResult",
    "DesignPower",
    "DriftAtScore",
    "DunnettResult",
    "EffectSize",
    "EqualSkillResult",
    "EquivalenceResult",
    "GroupedMean",
    "InteractionResult",
    "Interval",
    "LayerCluster",
    "LayerRanking",
    "MaxTResult",
    "MeanOverModels",
    "MixedModelResult",
    "OutcomeCorrelations",
    "PairedAnswers",
    "PermutationResult",
    "PowerCurve",
    "ProfileCorrelations",
    "RankCorrelation",
    "ScoreDifference",
    "SignFlipResult",
    "SkillPath",
    "SkillRegression",
    "StratumAtScore",
    "base_distance_layers",
    "base_distance_test",
    "benjamini_hochberg",
    "bootstrap_interval",
    "calibration_limit",
    "cliffs_delta",
    "cluster_test",
    "common_score",
    "drift_at_score",
    "dunnett_test",
    "equal_skill_test",
    "equivalence_test",
    "grouped_mean",
    "hierarchical_reduction",
    "hierarchical_replicates",
    "holm",
    "holm_over_families",
    "interaction_test",
    "jackknife_interval",
    "label_permutation_test",
    "log_ratio",
    "max_t_test",
    "mcnemar_test",
    "mean_difference",
    "mean_over_models",
    "mean_ratio",
    "mean_reduction",
    "mixed_model_reduction",
    "models_needed",
    "outcome_correlations",
    "paired_difference",
    "profile_correlations",
    "rank_correlation",
    "rank_layers",
    "reduction_lower_bound",
    "samples_needed",
    "score_difference",
    "sign_flip_test",
    "skill_path",
    "skill_regression",
    "smallest_reachable_pvalue",
    "strata_at_score",
    "unreachable",
    "within_share",
    "without_spread",
]
