"""What is observed with predicted labels alone: signals that ask a `LabelTarget` about changed inputs."""
