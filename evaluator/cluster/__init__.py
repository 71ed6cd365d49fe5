"""The matrix on many machines: the engine `ray`. Only `evaluator.cluster.driver` needs Ray."""
