"""A Cox model on every numeric covariate, with the concordance and the strongest effects.

python cox_model.py FILE --time time --event cens
"""

import argparse

import pandas as pd
from lifelines import CoxPHFitter

from data_platform import read_file

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--time", default="time")
parser.add_argument("--event", default="status")
options = parser.parse_args()

patients = pd.read_csv(read_file(options.file))
covariates = pd.get_dummies(patients, drop_first=True, dtype=float).dropna()
model = CoxPHFitter(penalizer=0.01).fit(covariates, options.time, options.event)
strongest = model.summary.sort_values("p").head(3).index
effects = ", ".join(f"{name} ×{model.hazard_ratios_[name]:.2f}" for name in strongest)
print(f"{len(covariates)} complete rows; concordance {model.concordance_index_:.2f}; hazard {effects}")
