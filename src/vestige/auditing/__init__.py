"""The only room that knows the order: check, score, threshold, test, report. Also the run folder and the gate."""
