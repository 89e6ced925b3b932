"""`FinishedAudit`: a result that shows itself, saves itself and draws its curves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vestige.core.result import AuditResult

if TYPE_CHECKING:
    import pandas as pd

_COLOURED = 4
_RATES = ("tpr_at_fpr_0.0001", "tpr_at_fpr_0.001", "tpr_at_fpr_0.01", "tpr_at_fpr_0.1")


@dataclass(frozen=True, eq=False, repr=False)
class FinishedAudit(AuditResult):
    """What `audit` returns.

    Attributes:
        embeddings: Returns ids of the audited records and the last-layer inputs of each, by the first shadow or source
            model that was trained for the audit, else by the target itself if it was audited with access to gradients;
            None without such a model.
    """

    embeddings: Callable[[], tuple[np.ndarray, np.ndarray]] | None = field(default=None, kw_only=True)

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle keeps: all but `embeddings`, whose recipe may be a function that cannot be pickled."""
        return {**self.__dict__, "embeddings": None}

    def save(self, folder: str | Path) -> None:
        """Write the run to a folder, as `audit(..., run=folder)` does.

        Args:
            folder: Where to; an earlier run of the same audit is replaced.

        Raises:
            RunFolderError: The folder holds another audit.
            OutputError: It cannot be written; nothing is left behind.
        """
        from vestige.auditing.run_folder import prepare, write

        prepare(Path(folder))
        write(self, Path(folder))

    def summary(self) -> "pd.DataFrame":
        """Return a line per attack: AUC, and the true-positive rate at the lowest false-positive rate that all resolve.

        Returns:
            Columns `auc`, `fpr` and `tpr`, the first and the last with `_lower` and `_upper` (95 %, for this model over
            records or people), the best attack first. Safe to release.
        """
        of_all = self.results.query("group == 'all' and threshold == 'roc' and attack != 'worst'")
        wide = of_all.pivot(index="attack", columns="metric", values=["value", "lower", "upper"])
        statuses = of_all.pivot(index="attack", columns="metric", values="status")
        rate = next((m for m in _RATES if m in statuses and (statuses[m] == "ok").all()), None)
        columns: dict[str, Any] = {f"auc{end}": wide[of, "auc"] for of, end in _ENDS}
        if rate is not None:
            columns |= {"fpr": float(rate.rsplit("_", 1)[1])}
            columns |= {f"tpr{end}": wide[of, rate] for of, end in _ENDS}
        import pandas as pd

        by = "auc" if rate is None else "tpr"
        return pd.DataFrame(columns, index=wide.index).sort_values([by, "auc"], ascending=False)

    def plot_roc(self, ax: Any = None) -> Any:
        """Draw every attack's ROC on logarithmic axes with matplotlib: the best four in colour, the best with its band.

        Args:
            ax: Axes to draw on; new ones if omitted.

        Returns:
            The axes.

        Raises:
            ModuleNotFoundError: matplotlib is not installed.
        """
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.figure().add_subplot()
        best = self.summary().index[:_COLOURED].tolist()
        bands = {band.attack: band for band in self.rocs}
        others = [attack for attack in bands if attack not in best]
        for attack in (*others, *reversed(best)):  # the best on top
            style: dict[str, Any] = {"color": "#ccc", "lw": 0.8}
            if attack in best:
                style = {"color": f"C{best.index(attack)}", "lw": 2 if attack == best[0] else 1.2, "label": attack}
            ax.plot(bands[attack].fpr, bands[attack].tpr, drawstyle="steps-post", **style)
        band = bands[best[0]]
        ax.fill_between(band.fpr, band.lower, band.upper, step="post", alpha=0.2, color="C0")
        ax.plot(band.best_fpr, band.best_tpr, "o", mfc="none", color="k")  # the threshold of the best accuracy
        start = min(roc.fpr[0] for roc in self.rocs)
        ax.plot([start, 1], [start, 1], ls="--", color="grey", lw=1)
        ax.set(xscale="log", yscale="log", xlim=(start, 1), ylim=(start, 1.05))
        ax.set(xlabel="false-positive rate", ylabel="true-positive rate")
        ax.legend(fontsize="small", loc="lower right")
        return ax

    def _repr_html_(self) -> str:
        """The three answers, a line per attack and the curves; no record."""
        answers = "".join(f"<p>{escape(answer)}</p>" for answer in str(self).split("\n"))
        table = self.summary().to_html(float_format=lambda value: f"{value:.3g}", na_rep="", border=0)
        return f'<div class="vestige-audit">{answers}{table}{self._curves()}</div>'

    def _curves(self) -> str:
        """The ROCs as a small picture: logarithmic axes from the lowest false-positive rate to 1."""
        start = np.log10(min((roc.fpr[0] for roc in self.rocs), default=0.1))
        leading = self.summary().index[0]
        lines = []
        for band in sorted(self.rocs, key=lambda roc: roc.attack == leading):
            x = 240 - 240 * np.log10(np.maximum(band.fpr, 10**start)) / start
            y = 240 * np.log10(np.maximum(band.tpr, 10**start)) / start
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
            colour = "#1f5fa8" if band.attack == leading else "#bbb"
            lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        words = f"ROC, logarithmic axes from {10**start:.0e} to 1; blue: {escape(str(leading))}; dashed: guessing"
        frame = '<rect width="240" height="240" fill="none" stroke="#888"/>'
        guess = '<line x1="0" y1="240" x2="240" y2="0" stroke="#888" stroke-dasharray="4"/>'
        return (
            f'<svg width="250" height="250" viewBox="-5 -5 250 250" role="img" aria-label="{words}">'
            f"<title>{words}</title>{frame}{guess}{''.join(lines)}</svg><p><small>{words}</small></p>"
        )


_ENDS = (("value", ""), ("lower", "_lower"), ("upper", "_upper"))
