"""The control plane: owns listeners, workers and signals; never sees a request and never runs user code."""
