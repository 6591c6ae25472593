"""Kaplan-Meier curves by group, with medians and a log-rank test.

python survival_curves.py FILE --time time --event status --event-code 2 --group sex
"""

import argparse

import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test

from data_platform import read_file

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--time", default="time")
parser.add_argument("--event", default="status")
parser.add_argument("--event-code", type=int, default=1)
parser.add_argument("--group", required=True)
options = parser.parse_args()

patients = pd.read_csv(read_file(options.file))
died = patients[options.event] == options.event_code
medians = {}
for group, members in patients.groupby(options.group):
    curve = KaplanMeierFitter().fit(members[options.time], died[members.index])
    medians[group] = curve.median_survival_time_
test = multivariate_logrank_test(patients[options.time], patients[options.group], died)
listed = ", ".join(f"{group}: {median:g}" for group, median in medians.items())
print(f"{len(patients)} rows; median by {options.group} {listed}; log-rank p = {test.p_value:.2g}")
