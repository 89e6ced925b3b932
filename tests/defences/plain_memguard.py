"""MemGuard one answer and one step at a time, by plain arithmetic: what the fast one must equal."""

import numpy as np


def plain_softmax(e):
    powers = np.exp(e - e.max())
    return powers / powers.sum()


class PlainClassifier:
    """The defender's classifier, asked about one answer."""

    def __init__(self, network):
        self.weights, self.biases = network.weights, network.biases

    def logit(self, row):
        return self.logit_and_slope(row)[0]

    def logit_and_slope(self, row):
        values, is_on = row, []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            values = values @ weight + bias
            is_on.append(values > 0)
            values = np.where(values > 0, values, 0.0)
        slope = self.weights[-1][:, 0]
        for weight, on in zip(self.weights[-2::-1], is_on[::-1], strict=True):
            slope = weight @ (slope * on)
        return float(values @ self.weights[-1][:, 0] + self.biases[-1][0]), slope


def plain_gradient(classifier, seen, e, s, place, closeness):
    """Of |g| + 10 relu(largest other - the label's) + closeness |p - s|_1, in the logits e."""
    p = plain_softmax(e)
    logit, slope = classifier.logit_and_slope(seen(p))
    v = np.sign(logit) * slope[: len(e)] + closeness * np.sign(p - s)
    v = v - v[place]  # what is added to all changes nothing; exact where p is almost 1 at the label
    gradient = p * (v - sum(p[j] * v[j] for j in range(len(e)) if j != place))
    largest = max((j for j in range(len(e)) if j != place), key=lambda j: e[j])
    if e[largest] > e[place]:
        gradient[largest] += 10
        gradient[place] -= 10
    return gradient


def plain_noise(network, row, *, is_logits, with_label=False):
    """Phase I for one answer: probabilities with noise, or None where no noise is found, and the steps made."""
    classifier, given = PlainClassifier(network), np.asarray(row, dtype=np.float64)
    logits = given if is_logits else np.log(np.maximum(given, 1e-30))
    label = int(given.argmax())
    order = np.argsort(logits, kind="stable")
    e0, place = logits[order], int(np.flatnonzero(order == label)[0])
    s, told = plain_softmax(e0), np.eye(len(e0))[label]

    def seen(p):
        return np.concatenate([p, told]) if with_label else p

    first = classifier.logit(seen(s))
    if abs(1 / (1 + np.exp(-first)) - 0.5) <= 1e-5:
        return None, 0
    best, n_steps = None, 0
    for closeness in (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5):
        e, success = e0, False
        for _ in range(299):
            gradient = plain_gradient(classifier, seen, e, s, place, closeness)
            norm = np.sqrt((gradient * gradient).sum())
            e = e - 0.1 * gradient / norm if norm > 0 else e
            n_steps += 1
            p = np.empty_like(e)
            p[order] = plain_softmax(e)
            if classifier.logit(seen(p[order])) * first <= 0 and int(p.argmax()) == label:
                best, success = p, True
                break
        if not success:
            break
    return best, n_steps
