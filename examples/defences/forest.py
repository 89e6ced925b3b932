"""A forest on half of scikit-learn's digits, which remembers them; how it is trained, and all records."""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import shuffle

from vestige import Records, SklearnRecipe

N = 898  # of 1,797 digits: those that the model was trained on
pixels, digits = shuffle(*load_digits(return_X_y=True), random_state=0)
train = SklearnRecipe(RandomForestClassifier(20, max_features=1))


def model() -> RandomForestClassifier:
    return RandomForestClassifier(20, max_features=1, random_state=0).fit(pixels[:N], digits[:N])


def members() -> Records:
    return Records(pixels[:N], digits[:N])


def nonmembers() -> Records:
    return Records(pixels[N:], digits[N:])


def records() -> Records:
    return Records(pixels, digits)
