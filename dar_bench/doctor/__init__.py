"""What works on this machine: device, packages, weights, data, plugins, evaluators; and calibration against a
published sample batch."""
