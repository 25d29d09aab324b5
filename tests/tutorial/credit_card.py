"""Find fraud among card payments: a tutorial, step for step, in Python, in the shell and as one would do it in H2O.

    python credit_card.py creditcard.parquet [N_MODELS] [TIME]

The table is the one of 284,807 payments of September 2013, of which 492 are fraud (OpenML 1597, "creditcard"): seconds
since the first payment (Time), 28 principal components (V1 … V28), the amount, and the class. Any table with a Class of
two values and the columns Time and Amount will do. A `# %%` begins a cell in editors that know notebooks.
"""

# %% Beforehand
# H2O:     import h2o; from h2o.automl import H2OAutoML; h2o.init()
# Nothing is to be started here: a run begins a Ray of its own, or joins the one that is there.
import sys
from pathlib import Path

import matplotlib
import pandas as pd
from sklearn.metrics import classification_report, f1_score
from sklearn.model_selection import train_test_split

from stacktune import AutoMLClassifier

TABLE = sys.argv[1]
N_MODELS = int(sys.argv[2]) if len(sys.argv) > 2 else 50
TIME = sys.argv[3] if len(sys.argv) > 3 else "10m"

# %% 1. Read the table
# H2O:     frame = h2o.import_file("creditcard.csv")
# Shell:   nothing; every command takes the file
frame = pd.read_parquet(TABLE)
print(f"{len(frame):,} payments, {len(frame.columns)} columns")
print(frame["Class"].value_counts().to_string())

# %% 2. Look at amounts over time, by class
# H2O:     frame.as_data_frame(), and then as here
matplotlib.use("Agg")
axes = None
for label, rows in frame.groupby("Class", observed=True):
    is_fraud = str(label) == "1"
    axes = rows.plot.scatter(
        x="Time",
        y="Amount",
        s=20 if is_fraud else 4,
        alpha=0.5,
        c="crimson" if is_fraud else "steelblue",
        label=f"class {label}",
        ax=axes,
        figsize=(9, 4),
    )
axes.set_yscale("symlog")
axes.figure.savefig("amounts.png", dpi=120, bbox_inches="tight")

# %% 3. Put a fifth of the rows aside
# H2O:     train, test = frame.split_frame(ratios=[0.8], seed=1)
# Shell:   --test-size 0.2 does so within a run, before anything is learnt
train, test = train_test_split(frame, test_size=0.2, stratify=frame["Class"], random_state=1)
train.to_parquet("train.parquet", index=False)
test.to_parquet("test.parquet", index=False)

# %% 4. The target is a class
# H2O:     train["Class"] = train["Class"].asfactor()
# Shell:   --task binary, which is seen by itself of two values
# A classifier takes its target for classes, whatever its type is.

# %% 5. Train so many models, for so long at most
# H2O:     model = H2OAutoML(max_models=50, max_runtime_secs=600, seed=1)
#          model.train(y="Class", training_frame=train)
# Shell:   stacktune run train.parquet --target Class --metric f1 --max-trials 50 --time-budget 10m --seed 1 \
#              --output runs/fraud
# With f1 as the metric the threshold of the leader is the best one for f1, as H2O's always is.
model = AutoMLClassifier(metric="f1", max_trials=N_MODELS, time_budget=TIME, seed=1, output="runs/fraud")
model.fit(train, target="Class")

# %% 6. Compare the models by cross-validation
# H2O:     model.leaderboard.head(10)
# Shell:   stacktune leaderboard runs/fraud --top 10
print(model.leaderboard_[["name", "score", "score_se", "roc_auc", "fit_s"]].head(10).to_string(index=False))

# %% 7. The leader
# H2O:     model.leader
# Shell:   the last lines of `stacktune run`, and runs/fraud/run.json
print(f"{model.summary_.leader} predicts fraud from a probability of {model.threshold_:.3g} on")
print(f"{model.best_model(by='predict_us').leader_.members[0].trial_id} is the quickest")

# %% 8. Predict the rows that were put aside
# H2O:     predicted = model.leader.predict(test)
# Shell:   stacktune predict runs/fraud test.parquet --output predicted.parquet
predicted = model.predict(test)
chances = model.predict_proba(test)[:, 1]

# %% 9. How good is it there?
# H2O:     model.leader.model_performance(test).F1()
# Shell:   stacktune leaderboard runs/fraud --on test.parquet
f1 = f1_score(test["Class"], predicted, pos_label=model.positive_)
print(classification_report(test["Class"], predicted, digits=4))
print(f"f1 of new payments: {f1:.4f}")
print(model.leaderboard(test)[["name", "score", "on_score"]].head(5).to_string(index=False))

# %% 10. Save the model
# H2O:     h2o.save_model(model.leader, path="fraud-model")
# Shell:   runs/fraud/leader is the model; the run ends with its name in the registry, models:/…-train-Class@leader
path = model.save("fraud-model")

# %% 11. Load it, anywhere
# H2O:     loaded = h2o.load_model(path)
# Shell:   stacktune predict runs/fraud/leader test.parquet --output again.parquet
loaded = AutoMLClassifier.load(Path(path))
assert (loaded.predict(test) == predicted).all()

# %% 12. Go on from the answer: a finer search around the best configuration
# H2O:     H2OGridSearch with ranges around model.leader.params
# Shell:   stacktune run train.parquet --target Class --metric f1 --start-from runs/fraud --max-trials 10 --output …
finer = AutoMLClassifier(
    metric="f1", start_from="runs/fraud", max_trials=max(2, N_MODELS // 5), seed=1, output="runs/finer"
)
finer.fit(train, target="Class")
print(finer.summary_.gain)
